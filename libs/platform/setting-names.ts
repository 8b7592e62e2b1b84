import { nearestName, slipsBetween } from './suggest.js';

/** Variables of our other programs: the command line, the example, docker compose. */
const NAMES_OF_OTHERS = [
  'KEYLEDGER_API_KEY',
  'KEYLEDGER_SERVICE_KEY',
  'KEYLEDGER_URL',
  'EXAMPLE_PORT',
  'POSTGRES_PASSWORD',
];

/** No other program's variables have these prefixes. */
const UNMISTAKABLE =
  /^(KEYLEDGER|TRUST(ED)?_?PROX|APP_?SCOPE|PUBLIC_?KEY_?REQUESTS|DEFAULT_?KEY_?ENV|DEFAULT_?CREDIT|ON_?OUTAGE|MAX_?(KEY|PROJECT|MEMBER|ORGANI[SZ]ATION)S?_?PER|REGISTRATIONS?_?PER|RECORD_?(CLIENT|USER_?AGENT|ACTOR))/;
/** Kubernetes and docker set these in every container for a service `keyledger` (`KEYLEDGER_PORT_3000_TCP_ADDR`, …). */
const OF_A_SERVICE = /_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)$/;
const ADDRESS_OF_A_SERVICE = /^(tcp|udp|sctp):\/\//;

/** Shorter names, such as HOST or PORT, are too similar to variables of other programs. */
const SHORTEST = 8;
/** Names of this length may have two wrong letters, shorter ones one. */
const LONG = 14;

export interface MisspeltName {
  readonly name: string;
  /** The setting that the operator most likely meant. */
  readonly meant: string | undefined;
}

/**
 * Finds the first variable that is meant for us but is not a setting, so that it would be ignored: its case differs, a
 * letter or two are wrong, a word is in the plural, or it has a prefix that only our variables have. Variables of a
 * platform and of other programs do not match.
 */
export function misspeltName(
  env: Readonly<Record<string, string | undefined>>,
  settings: readonly string[],
): MisspeltName | undefined {
  const known = new Set([...settings, ...NAMES_OF_OTHERS]);
  const name = Object.keys(env).find(
    (given) => !known.has(given) && !isOfAService(given, env[given]) && isMeantForUs(given, settings),
  );
  return name === undefined ? undefined : { name, meant: nearestName(name, [...known]) };
}

function isOfAService(name: string, value = ''): boolean {
  return OF_A_SERVICE.test(name) || (name.endsWith('_PORT') && ADDRESS_OF_A_SERVICE.test(value));
}

function isMeantForUs(given: string, settings: readonly string[]): boolean {
  const name = given.toUpperCase();
  // No typing error is that long, and long names take longer to compare.
  if (name.length > 100) return UNMISTAKABLE.test(name);
  return UNMISTAKABLE.test(name) || settings.some((setting) => isNearly(name, setting));
}

function isNearly(name: string, setting: string): boolean {
  if (name === setting) return true;
  if (setting.length < SHORTEST) return false;
  if (stemOf(name) === stemOf(setting)) return true;
  const allowed = setting.length < LONG ? 1 : 2;
  return Math.abs(name.length - setting.length) <= allowed && slipsBetween(name, setting) <= allowed;
}

/** `TRUSTED-PROXIES` and `TrustProxy` have the same words as `TRUST_PROXY`. */
function stemOf(name: string): string {
  const words = name.split(/[^A-Z0-9]+/);
  return words.map((word) => word.replace(/IES$/, 'Y').replace(/(ED|S)$/, '')).join('');
}
