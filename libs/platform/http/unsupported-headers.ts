import type { IncomingHttpHeaders } from 'node:http';
import type { FieldError } from '#libs/contract/problem.js';
import type { Route } from '#libs/contract/route.js';
import { locate } from './location.js';

/** Headers that keep a change from being made: if the object has changed since, or if the change was made before. */
const PRECONDITION = /^if(-|$)/;
const REPETITION = /idempoten/;
/** Preconditions for reading alone. They never apply to a change (RFC 9110, sections 13.1.3 and 13.1.5). */
const FOR_READING = new Set(['if-modified-since', 'if-range']);

/**
 * Headers that would keep a change from being made, if the route supported them. To ignore one would make a change that
 * the caller excluded. They have no effect on reading, so a route that only reads accepts them.
 */
export function unsupportedHeaders({ method, headers: declared }: Route, headers: IncomingHttpHeaders): FieldError[] {
  if (method === 'GET') return [];
  const suspects = Object.keys(headers).filter(keepsFromChanging);
  if (suspects.length === 0) return [];
  const supported = Object.keys(declared?.shape ?? {});
  return suspects
    .filter((name) => !supported.includes(name))
    .map((name) => ({ location: locate(['headers', name]), message: messageFor(name, supported) }));
}

function keepsFromChanging(name: string): boolean {
  return (name.startsWith('if') && PRECONDITION.test(name) && !FOR_READING.has(name)) || REPETITION.test(name);
}

function messageFor(name: string, supported: readonly string[]): string {
  const kind = REPETITION.test(name) ? REPETITION : PRECONDITION;
  const instead = supported.find((other) => kind.test(other));
  if (instead) return `is not supported by this route; leave it out or send ${instead} instead`;
  return kind === REPETITION
    ? 'is not supported by this route, which makes its change again if the call is repeated; leave it out'
    : 'is not supported by this route, which makes its change even if the object has changed since; leave it out';
}
