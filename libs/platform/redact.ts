import { parseCredential } from '#libs/api-key-format/token.js';

/** No secret of ours is shorter. */
const SHORTEST = 32;
const LONGEST_PREFIX = 31;
/** As much of a key as is shown in lists. */
const SHOWN = 6;

/**
 * A text of a caller, without the secrets that may have got into it: an API key in a path, a token in a User-Agent. They
 * are known by their own marks, a key by its checksum, so nothing else is taken for one. Runs with each request: every
 * pattern begins with what is rare.
 */
export function withoutSecrets(text: string): string {
  if (text.length < SHORTEST) return text;
  return text
    .replace(/_[0-9A-Za-z]{32}(?![0-9A-Za-z])/g, (end, at: number) =>
      endsSecret(text, at, end) ? `${end.slice(0, 1 + SHOWN)}…` : end,
    )
    .replace(/_(?<=(?:rt|invite|reset)_)[\w-]{43}/g, '_…')
    .replace(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, 'eyJ…');
}

/** Nobody knows where its prefix begins: what comes before may look like a part of it. */
function endsSecret(text: string, at: number, end: string): boolean {
  for (let begin = Math.max(0, at - LONGEST_PREFIX); begin < at; begin++) {
    const credential = parseCredential(text.slice(begin, at) + end);
    if (credential) return credential.secret !== undefined;
  }
  return false;
}

/** A line of a log, without credentials of any kind: those of callers, and those in the addresses of our settings. */
export function redact(text: string): string {
  return withoutSecrets(text)
    .replace(/(:\/\/[^\s:/?#@]*):[^\s@]*@/g, '$1:…@')
    .replace(/\b(bearer|basic)\s+[^\s"',]+/gi, '$1 …')
    .replace(/([?&][\w.-]+=)[^\s&"')]+/g, '$1…');
}
