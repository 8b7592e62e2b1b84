import type { FieldError } from '#libs/contract/problem.js';
import { locate } from './location.js';

/** Deeper than the body of any route. Code that walks a body later may therefore be recursive. */
export const MAX_DEPTH = 32;
/** More values than the body of a usual route has. Bounds the code that checks each of them. */
export const MAX_VALUES = 2_000;

/** The tokens of RFC 8259, apart from those of one character, which are their own kinds. */
// eslint-disable-next-line no-control-regex -- RFC 8259 requires these characters to be escaped in a string
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y;
/** What follows a number or a literal is not checked here: the next token does that. */
const LITERAL = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const SPACE = ' \t\n\r';
const MARKS = '{}[],:';

/** An object or array that is being read. */
interface Container {
  /** For an object: the names read so far. */
  readonly names: Set<string> | undefined;
  /** The name or index of the member that is being read. */
  step: string | number;
}

type Expected = 'value' | 'value or ]' | 'name' | 'name or }' | ':' | 'comma or end';

/**
 * Finds the first fault of a JSON text, in one pass without recursion: invalid JSON, or input that `JSON.parse` accepts
 * although two readers may understand it differently or our own code could not hold it. The fault gives a position and
 * never quotes a string.
 */
export function jsonFault(text: string, maxValues = MAX_VALUES): FieldError | undefined {
  const containers: Container[] = [];
  let expected: Expected = 'value';
  let values = 0;
  let position = 0;
  const here = (message: string): FieldError => ({
    location: locate(['body', ...containers.map(({ step }) => step).filter((step) => step !== '')]),
    message,
  });
  while (containers.length > 0 || values === 0) {
    const begin = afterSpace(text, position);
    const kind = kindAt(text, begin);
    const end = endOfToken(text, begin, kind);
    if (end === undefined) return syntaxFault(text, position);
    const container = containers.at(-1);
    const next = nextExpected(expected, kind, container);
    if (next === undefined) return syntaxFault(text, position);

    const isName = next === ':' && container;
    const isValue = !isName && (expected === 'value' || expected === 'value or ]') && kind !== ']';
    if (isValue && ++values > maxValues) return { location: 'body', message: `must have at most ${maxValues} values` };
    if (isName) {
      const name = JSON.parse(text.slice(begin, end)) as string;
      const fault = nameFault(name, container.names!);
      // A name that cannot be written is shown by its object's location.
      container.step = fault === UNWRITABLE ? '' : name;
      if (fault) return here(fault);
      container.names!.add(name);
    } else if (kind === 'string' && !isWritable(text.slice(begin, end))) {
      return here(UNWRITABLE);
    } else if (kind === '{' || kind === '[') {
      containers.push(kind === '{' ? { names: new Set(), step: '' } : { names: undefined, step: 0 });
      if (containers.length > MAX_DEPTH)
        return { location: 'body', message: `must be nested at most ${MAX_DEPTH} deep` };
    } else if (kind === '}' || kind === ']') {
      containers.pop();
    } else if (kind === ',' && typeof container!.step === 'number') {
      container!.step += 1;
    }
    expected = next;
    position = end;
  }
  return afterSpace(text, position) === text.length ? undefined : syntaxFault(text, position);
}

function afterSpace(text: string, position: number): number {
  let at = position;
  while (at < text.length && SPACE.includes(text.charAt(at))) at += 1;
  return at;
}

/** A mark is its own kind. */
function kindAt(text: string, begin: number): string {
  const first = text.charAt(begin);
  if (first === '"') return 'string';
  return first !== '' && MARKS.includes(first) ? first : 'literal';
}

/** @returns undefined if there is no such token */
function endOfToken(text: string, begin: number, kind: string): number | undefined {
  if (kind.length === 1) return begin + 1;
  if (kind === 'string') {
    STRING.lastIndex = begin;
    return STRING.test(text) ? STRING.lastIndex : undefined;
  }
  LITERAL.lastIndex = begin;
  return LITERAL.test(text) ? LITERAL.lastIndex : undefined;
}

/** Returns what may follow a token, or undefined if the token is not allowed here. */
function nextExpected(expected: Expected, kind: string, container: Container | undefined): Expected | undefined {
  switch (expected) {
    case 'name':
    case 'name or }':
      if (kind === 'string') return ':';
      return kind === '}' && expected === 'name or }' ? 'comma or end' : undefined;
    case ':':
      return kind === ':' ? 'value' : undefined;
    case 'comma or end':
      if (kind === ',') return container!.names ? 'name' : 'value';
      return kind === (container!.names ? '}' : ']') ? 'comma or end' : undefined;
    case 'value':
    case 'value or ]':
      if (kind === '{') return 'name or }';
      if (kind === '[') return 'value or ]';
      if (kind === ']') return expected === 'value or ]' ? 'comma or end' : undefined;
      return kind === 'string' || kind === 'literal' ? 'comma or end' : undefined;
    default:
      return expected satisfies never;
  }
}

const UNWRITABLE = 'must be text without NUL characters and broken surrogate pairs';

function nameFault(name: string, known: ReadonlySet<string>): string | undefined {
  if (name === '__proto__') return 'is not allowed as a name; choose another';
  if (known.has(name)) return 'appears twice; remove one of them';
  return isWellFormed(name) ? undefined : UNWRITABLE;
}

/** Only an escape can produce characters that a database column or our JSON cannot hold. */
function isWritable(token: string): boolean {
  return !token.includes('\\u') || isWellFormed(JSON.parse(token) as string);
}

function isWellFormed(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

function syntaxFault(text: string, position: number): FieldError {
  const at = afterSpace(text, position);
  if (at === text.length) return { location: 'body', message: 'must be valid JSON; it ends too early' };
  const lines = text.slice(0, at).split('\n');
  const place = `line ${lines.length}, column ${lines.at(-1)!.length + 1}`;
  return { location: 'body', message: `must be valid JSON; the text at ${place} is not` };
}
