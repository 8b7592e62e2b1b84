import { expect, it } from '@jest/globals';
import { findReplacedWords } from './vocabulary.js';

it.each([
  ['a comment', '// Reads the trail.'],
  ['a plural', 'two inboxes'],
  ['an identifier', 'const inTrail = 1;'],
  ['the beginning of an identifier', 'function trailOf() {}'],
  ['a type', 'class Lane<T> {}'],
  ['a column', 'SELECT body FROM event_batch'],
])('a replaced word fails the lint step, in %s', (_where, text) => {
  expect(findReplacedWords('libs/platform/any.ts', `\n${text}`)).toEqual([
    expect.stringMatching(/^libs\/platform\/any\.ts:2: /),
  ]);
});

it.each(['a trailing comma', 'the plane', 'it was answered', 'a labelled belly', 'outstanding'])(
  'a word that only contains one passes: %s',
  (text) => {
    expect(findReplacedWords('libs/platform/any.ts', text)).toEqual([]);
  },
);
