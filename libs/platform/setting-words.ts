import { slipsBetween } from './suggest.js';

/** Words of our settings, and other words that operators use for the same thing. */
const SYNONYMS: Readonly<Record<string, string>> = {
  ACTOR: 'PERSON PEOPLE EMAIL IDENTITY',
  ADDRESS: 'ADDR IP',
  AGENT: 'UA USERAGENT',
  APP: 'APPLICATION',
  ARG: 'ARGUMENT RATIO RATE',
  CLIENT: 'REMOTE CALLER PEER',
  DEFAULT: 'INITIAL START STARTING',
  DIR: 'DIRECTORY FOLDER PATH',
  ENDPOINT: 'URL URI ADDRESS COLLECTOR RECEIVER',
  ENVIRONMENT: 'ENV',
  FILE: 'PATH FILENAME',
  HOST: 'HOSTNAME BIND LISTEN INTERFACE ADDRESS ADDR IP',
  LEVEL: 'LVL VERBOSITY',
  LISTEN: 'BIND',
  LOG: 'LOGGING LOGGER CHECKPOINT',
  MAX: 'MAXIMUM LIMIT QUOTA COUNT CAP',
  MB: 'MEGABYTE MIB GB KB BYTE SIZE MEMORY MEM MAX MAXIMUM LIMIT',
  MEMBER: 'SEAT',
  MINUTE: 'MIN',
  ORGANIZATION: 'ORGANISATION ORG TENANT CUSTOMER',
  PROXY: 'FORWARDED GATEWAY NETWORK CIDR IP ADDRESS HOP HEADER',
  QUORUM: 'THRESHOLD',
  RECORD: 'RECORDING KEEP SAVE RETAIN',
  REGISTRATION: 'REGISTER SIGNUP',
  REQUEST: 'RATE LIMIT RPM',
  SAMPLER: 'SAMPLE SAMPLING',
  SCOPE: '',
  SECOND: 'INTERVAL SEC',
  TRACE: 'TRACING SPAN',
  TRUST: 'KNOWN',
  URL: 'URI ADDRESS LINK BASE DSN',
  USER: 'UA USERAGENT',
  WITNESS: 'COSIGNER',
};

/** A name with one of these words means its setting. */
const TELLING_ALONE = new Set([
  'ANCHOR',
  'CREDIT',
  'DIALECT',
  'OUTAGE',
  'QUORUM',
  'REGISTRATION',
  'RETENTION',
  'SCOPE',
  'WITNESS',
]);
/** A name with one of these words and with another word of the same setting means that setting. */
const TELLING = new Set(
  'ARG AUDIT CACHE DEFAULT ENVIRONMENT EXPORTER MAX METRIC MINUTE ORIGIN OTLP PER RECORD REQUEST SAMPLER TRUST'.split(
    ' ',
  ),
);
/** Words that operators add to a name and that say little, the values of settings among them. */
const FILLERS = new Set(
  (
    'ACTION ALLOW ALL AND API AUDIT BEHAVIOR BEHAVIOUR BY CLOSED CUSTOM DAY DISABLE DISABLED DURING EACH ENABLE ENABLED ' +
    'ENTRY EVERY EXTRA FAMILY FOR FREE FULL HOUR HTTP IF IN INVITE ITEM KIND LIST LIVE LOCATION MODE MY NAME NEW NONE NUM ' +
    'NUMBER OF ONLY OPEN OUR POLICY REFUSE SECOND SELF SERVER SETTING SUPPORTED TEAM TEST THE TOTAL TYPE VALUE VENDOR WHEN X'
  )
    .split(' ')
    .map(stem),
);

/** Shorter words are too similar to others. */
const SHORTEST_WITH_SLIP = 6;
/** Neither a setting nor a name that is meant for one has more words. */
const MOST_WORDS = 10;

/** The words of a name, without regard to case, separators and plurals: `trusted-proxies` is TRUST, PROXY. */
function wordsOf(name: string): string[] {
  const separated = name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase();
  return separated.split(/[^A-Z0-9]+/).flatMap((word) => (word ? [stem(word)] : []));
}

function stem(word: string): string {
  if (word.endsWith('SSES')) return word.slice(0, -2);
  return word.replace(/IES$/, 'Y').replace(/(ED|(?<!S)S)$/, '');
}

interface Setting {
  readonly name: string;
  readonly words: readonly string[];
  readonly isTelling: boolean;
}

/** A word of a variable. */
interface Word {
  readonly text: string;
  /** The words of settings that it can stand for. */
  readonly meanings: readonly string[];
  readonly isKnown: boolean;
}

/** Compares names by their words with settings, some of which have names that other programs also use. */
export class SettingWords {
  readonly #settings: readonly Setting[];
  /** Each word with the words of settings that it can stand for. */
  readonly #meanings = new Map<string, string[]>();

  constructor(names: readonly string[]) {
    this.#settings = names.map((name) => {
      const words = wordsOf(name);
      return { name, words, isTelling: words.some((word) => TELLING.has(word) || TELLING_ALONE.has(word)) };
    });
    for (const word of new Set(this.#settings.flatMap(({ words }) => words))) {
      const others = (SYNONYMS[word] ?? '').split(' ').filter(Boolean).map(stem);
      for (const one of [word, ...others]) this.#meanings.set(one, [...(this.#meanings.get(one) ?? []), word]);
    }
  }

  /** The setting that has most words in common with a name that is meant for it. */
  meantBy(name: string): string | undefined {
    return this.#nearest(name, (words, shared, setting) =>
      setting.isTelling
        ? (words.every(({ isKnown }) => isKnown) && shared.some((word) => isTelling(word, shared))) ||
          lacksOne(words, setting.words)
        : shared.length === setting.words.length && words.every((word) => means(word, setting.words)),
    );
  }

  /** The setting that shares at least half of the words, for a name that is known to be meant for us. */
  mostSimilar(name: string): string | undefined {
    return this.#nearest(name, (words, shared, setting) => shared.length * 4 >= words.length + setting.words.length);
  }

  #nearest(
    name: string,
    isMeant: (words: readonly Word[], shared: readonly string[], setting: Setting) => boolean,
  ): string | undefined {
    const words = this.#read(name);
    let nearest: { readonly name: string; readonly likeness: number } | undefined;
    for (const setting of words.length > 0 ? this.#settings : []) {
      const shared = setting.words.filter((word) => words.some(({ meanings }) => meanings.includes(word)));
      const likeness = (2 * shared.length) / (words.length + setting.words.length);
      if (likeness > (nearest?.likeness ?? 0) && isMeant(words, shared, setting))
        nearest = { name: setting.name, likeness };
    }
    return nearest?.name;
  }

  /** Empty if no word of the name is known, as for most variables of other programs: comparing the rest takes time. */
  #read(name: string): readonly Word[] {
    const texts = wordsOf(name).flatMap((text) => this.#parts(text));
    if (texts.length > MOST_WORDS || !texts.some((text) => this.#isKnown(text))) return [];
    return texts.map((text) => {
      const meanings = this.#meanings.get(text) ?? (FILLERS.has(text) ? [] : this.#withSlip(text));
      return { text, meanings, isKnown: meanings.length > 0 || FILLERS.has(text) };
    });
  }

  #isKnown(text: string): boolean {
    return this.#meanings.has(text) || FILLERS.has(text);
  }

  /** What a word can stand for if one letter of it is wrong. */
  #withSlip(given: string): readonly string[] {
    if (given.length < SHORTEST_WITH_SLIP) return [];
    const near = [...this.#meanings].find(
      ([word]) =>
        word.length >= SHORTEST_WITH_SLIP &&
        Math.abs(word.length - given.length) <= 1 &&
        slipsBetween(word, given) <= 1,
    );
    return near?.[1] ?? [];
  }

  /** `MAXKEYS` is two words, if both are known. */
  #parts(text: string): readonly string[] {
    if (this.#isKnown(text)) return [text];
    for (let at = 2; at < text.length - 1; at++) {
      const parts = [text.slice(0, at), text.slice(at)].map(stem);
      if (parts.every((part) => this.#meanings.has(part))) return parts;
    }
    return [text];
  }
}

function means({ meanings }: Word, words: readonly string[]): boolean {
  return meanings.some((meaning) => words.includes(meaning));
}

function isTelling(word: string, shared: readonly string[]): boolean {
  return TELLING_ALONE.has(word) || (TELLING.has(word) && shared.length > 1);
}

function lacksOne(words: readonly Word[], of: readonly string[]): boolean {
  return words.length > 1 && words.length === of.length - 1 && words.every(({ text }) => of.includes(text));
}
