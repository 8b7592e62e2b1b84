import { expect, it } from '@jest/globals';
import { z } from 'zod';
import { allRoutes } from './routes.js';

/** Each is wrong in most places: of another type, empty, too short, too long, too small or too large. */
const scalars = [undefined, null, true, '', ' ', 'x', 'x'.repeat(20_000), -1, 0.5, 1e12, 2 ** 60];
const lists = [
  [],
  [7],
  ['x'],
  [{}],
  Array.from({ length: 300 }, () => 'x'),
  {},
  { x: 7 },
  { '': '' },
  { x: 'x'.repeat(600) },
];
const wrong: readonly unknown[] = [...scalars, ...lists];

function messagesOf(issue: z.core.$ZodIssue): string[] {
  return issue.code === 'invalid_key' ? issue.issues.map(({ message }) => message) : [issue.message];
}

it('what a request has wrong is said in plain English, for every field of every route', () => {
  const messages = new Set<string>();
  for (const { route } of allRoutes()) {
    for (const schema of [route.params, route.query, route.headers, route.body]) {
      for (const name of schema instanceof z.ZodObject ? Object.keys(schema.shape) : []) {
        for (const value of wrong)
          for (const issue of schema!.safeParse({ [name]: value }).error?.issues ?? [])
            if (issue.code !== 'unrecognized_keys') for (const message of messagesOf(issue)) messages.add(message);
      }
    }
  }
  expect(messages.size).toBeGreaterThan(30);
  // A predicate, whose subject is the place or the label of the value.
  expect([...messages].filter((message) => !/^(must|is|has|have|does|needs|may) /.test(message))).toEqual([]);
  expect([...messages].filter((message) => /expected|received|Invalid|[<>]=|regex|ZodError/.test(message))).toEqual([]);
});

it.each<[string, z.ZodType, unknown, string]>([
  ['a text that is too long', z.string().max(100), 'x'.repeat(101), 'must have at most 100 characters'],
  ['a text that is empty', z.string().min(1), '', 'must not be empty'],
  ['a list that is too short', z.array(z.string()).min(1), [], 'must have at least 1 entry'],
  ['a number that is too small', z.int().min(1), 0, 'must be at least 1'],
  ['a fraction', z.int(), 0.5, 'must be a whole number'],
  ['a missing value', z.string(), undefined, 'is required'],
  ['a value that is none of those allowed', z.enum(['test', 'live']), 'prod', 'must be test or live'],
  ['a value of no allowed type', z.union([z.string(), z.array(z.string())]), 7, 'must be a text or a list'],
])('says what is wrong with %s', (_what, schema, value, message) => {
  expect(schema.safeParse(value).error?.issues[0]?.message).toBe(message);
});
