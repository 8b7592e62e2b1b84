import type { IncomingHttpHeaders } from 'node:http';
import { DomainError, invalidInput } from '../errors.js';
import { strictUtf8 } from '../text.js';
import { jsonFault } from './json-text.js';

const JSON_TYPE = /^application\/json[ \t]*(?:;[ \t]*charset=(?:utf-8|"utf-8")[ \t]*)?$/i;
/** Replaces every content type that we do not support. */
export const OTHER_TYPE = 'application/octet-stream';

export function isJsonType(type: string): boolean {
  return JSON_TYPE.test(type);
}

/**
 * Parses the body of a request. An empty body counts as no body, whatever the headers say.
 * @throws DomainError if it is not JSON in UTF-8
 */
export function parseBody(bytes: Buffer, headers: IncomingHttpHeaders, maxValues?: number): unknown {
  if (bytes.length === 0) return undefined;
  if (!isJsonType(headers['content-type'] ?? '')) throw new DomainError('unsupported_media_type');
  if (!/^(identity)?$/i.test(headers['content-encoding'] ?? '')) {
    throw new DomainError('unsupported_media_type', 'The body must not be compressed: leave Content-Encoding out');
  }
  const text = decode(bytes);
  const fault = jsonFault(text, maxValues);
  if (fault) throw invalidInput(fault);
  return JSON.parse(text);
}

function decode(bytes: Buffer): string {
  let text: string;
  try {
    text = strictUtf8.decode(bytes);
  } catch {
    throw invalidInput({ location: 'body', message: 'must be JSON in UTF-8' });
  }
  if (text.startsWith('\uFEFF')) {
    throw invalidInput({ location: 'body', message: 'must be JSON in UTF-8 without a byte order mark' });
  }
  return text;
}
