import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { jsonFault, MAX_DEPTH, MAX_VALUES } from './json-text.js';

const parses = (text: string) => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

/** Texts that are JSON, texts that are nearly JSON, and JSON tokens in any order. */
const texts = fc.oneof(
  fc.json({ maxDepth: 6 }),
  fc
    .tuple(fc.json({ maxDepth: 4 }), fc.nat(), fc.constantFrom('', ',', '}', '"', '\\', '0', '-', 'e', ' ', '\u0001'))
    .map(([text, at, inserted]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + inserted + text.slice(place + (at % 2));
    }),
  fc
    .array(
      fc.constantFrom('{', '}', '[', ']', ',', ':', '"a"', '"b"', '1', '-0.5e+7', '01', 'true', 'nul', ' ', '\n'),
      {
        maxLength: 12,
      },
    )
    .map((tokens) => tokens.join('')),
);

const DELIBERATE = /appears twice|not allowed as a name|without NUL|nested|at most/;

describe('a fault in a JSON text', () => {
  it('is found exactly where JSON.parse finds one, except for deliberate rejections', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const fault = jsonFault(text);
        if (fault && DELIBERATE.test(fault.message)) return;
        expect(fault === undefined).toBe(parses(text));
      }),
      { numRuns: 3_000 },
    );
  });

  it.each([
    ['{"a":1,}', 'line 1, column 8'],
    ['{"a":x}', 'line 1, column 6'],
    ['{\n  "a": 1\n  "b": 2\n}', 'line 3, column 3'],
    ['{} {}', 'line 1, column 4'],
    ["{'a':1}", 'line 1, column 2'],
    ['[1,2', 'ends too early'],
    ['{"a":"secret', 'line 1, column 6'],
    ['', 'ends too early'],
    ['[01]', 'line 1, column 3'],
  ])('is located in %j without an echo of the text', (text, place) => {
    expect(jsonFault(text)).toEqual({ location: 'body', message: expect.stringContaining(place) });
    expect(jsonFault(text)?.message).not.toContain('secret');
  });

  it.each([
    ['{"name":"a","name":"b"}', 'body.name'],
    ['{"a":[{"b":1},{"b":1,"b":2}]}', 'body.a[1].b'],
    [String.raw`{"name":"a","n\u0061me":"b"}`, 'body.name'],
    ['{"metadata":{"__proto__":"x"}}', 'body.metadata.__proto__'],
    [String.raw`{"metadata":{"__pr\u006fto__":{}}}`, 'body.metadata.__proto__'],
    [String.raw`{"a":"\u0000"}`, 'body.a'],
    [String.raw`{"a":["b","\ud800"]}`, 'body.a[1]'],
    [String.raw`{"a\u0000":1}`, 'body'],
    [String.raw`{"\udc00":1}`, 'body'],
  ])('is a rejected member in %j, which is named', (text, location) => {
    expect(jsonFault(text)?.location).toBe(location);
  });

  it('is not a member whose name is a property of every object', () => {
    expect(jsonFault('{"constructor":{"prototype":{}},"toString":1,"hasOwnProperty":2}')).toBeUndefined();
  });

  it.each(['[', '{"a":'])('is too deep nesting by %s, which is found at once', (opening) => {
    const closing = opening === '[' ? ']' : '}';
    const nested = (depth: number) => `${opening.repeat(depth)}${opening === '[' ? '' : '1'}${closing.repeat(depth)}`;
    expect(jsonFault(nested(MAX_DEPTH))).toBeUndefined();
    for (const depth of [MAX_DEPTH + 1, 3_000, 10_000]) {
      expect(jsonFault(nested(depth))?.message).toBe(`must be nested at most ${MAX_DEPTH} deep`);
      expect(jsonFault(opening.repeat(depth))?.message).toBe(`must be nested at most ${MAX_DEPTH} deep`);
    }
  });

  it('is too many values', () => {
    const wide = (values: number) => `[${Array.from({ length: values - 1 }, () => '1').join(',')}]`;
    expect(jsonFault(wide(MAX_VALUES))).toBeUndefined();
    expect(jsonFault(wide(MAX_VALUES + 1))?.message).toBe(`must have at most ${MAX_VALUES} values`);
  });

  it('is shown with the beginning of a long member name', () => {
    expect(jsonFault(`{"${'n'.repeat(50_000)}":"${String.raw`\u0000`}"}`)!.location.length).toBeLessThan(100);
  });
});
