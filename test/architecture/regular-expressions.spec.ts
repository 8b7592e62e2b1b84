import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import ts from 'typescript';
import { dialects } from '#libs/api-keys/dialects/dialects.js';
import { openApiDocument } from '#libs/contract/openapi.js';
import { allRoutes } from '#libs/contract/routes.js';

/**
 * A regular expression that backtracks lets a caller hold up the event loop with one header. No matter what an expression is
 * used for today: each has to take time in proportion to its input, so that none has to be looked at again when it gets
 * another use.
 */
const root = join(import.meta.dirname, '../..');

interface Expression {
  readonly place: string;
  readonly source: string;
  readonly flags: string;
}

interface Found {
  readonly expressions: Expression[];
  /** Expressions that are made while the program runs, where they could be made of input. */
  readonly made: string[];
}

function search(): Found {
  const found: Found = { expressions: [], made: [] };
  for (const file of globSync('{apps,libs}/**/*.{ts,tsx,mjs}', { cwd: root }).toSorted()) {
    if (/\.spec\.|\.d\.ts$/.test(file)) continue;
    const kind = file.endsWith('.tsx') ? ts.ScriptKind.TSX : ts.ScriptKind.TS;
    const text = readFileSync(join(root, file), 'utf8');
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true, kind);
    const visit = (node: ts.Node): void => {
      note(node, source, found);
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return found;
}

function note(node: ts.Node, source: ts.SourceFile, { expressions, made }: Found): void {
  const place = `${source.fileName}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
  if (ts.isRegularExpressionLiteral(node)) {
    const end = node.text.lastIndexOf('/');
    expressions.push({ place, source: node.text.slice(1, end), flags: node.text.slice(end + 1) });
  }
  if ((ts.isNewExpression(node) || ts.isCallExpression(node)) && node.expression.getText() === 'RegExp') {
    made.push(`${place} ${node.getText()}`);
  }
  // These make an expression of a text that they are given.
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return;
  const [argument] = node.arguments;
  if (!['search', 'matchAll'].includes(node.expression.name.text) || !argument) return;
  if (!ts.isRegularExpressionLiteral(argument)) made.push(`${place} ${node.getText()}`);
}

/** Those of zod, for addresses, times and the like. */
function patternsOf(value: unknown, place = 'OpenAPI'): Expression[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]: [string, unknown]) =>
    name === 'pattern' && typeof inner === 'string'
      ? [{ place, source: inner, flags: '' }]
      : patternsOf(inner, `${place}.${name}`),
  );
}

const { expressions, made } = search();

/** What an input repeats, and what it begins and ends with so that as much as possible matches before nothing does. */
interface Attack {
  readonly prefix: string;
  readonly pump: string;
  readonly suffix: string;
}

/** From texts that match it: their beginnings, and parts of them many times. */
function attacksOn({ source, flags }: Expression): Attack[] {
  const samples = samplesOf(source, flags);
  const literals = source.match(/[A-Za-z0-9 _]+/g) ?? [];
  const prefixes = new Set([
    '',
    literals[0] ?? '',
    ...samples.flatMap((text) => [text, text.slice(0, text.length / 2)]),
  ]);
  const pumps = new Set([
    'a',
    '0',
    ' ',
    '-',
    '.',
    '/',
    '\n',
    ...literals.slice(0, 4).flatMap((text) => [text, `${text} `]),
  ]);
  for (const text of samples) {
    for (const length of [1, 2, 4, text.length]) {
      for (let begin = 0; begin + length <= text.length; begin += length) pumps.add(text.slice(begin, begin + length));
    }
  }
  return [...prefixes].slice(0, 4).flatMap((prefix) =>
    [...pumps]
      .filter(Boolean)
      .slice(0, 40)
      .flatMap((pump) => ['', '\0', '\n'].map((suffix) => ({ prefix, pump, suffix }))),
  );
}

function samplesOf(source: string, flags: string): string[] {
  // fast-check looks for an ASCII character for ever where there is none.
  if (/\\u|\[\^\\0/.test(source)) return [];
  // An attack need not match, so assertions are left out.
  const plain = source.replace(/\(\?<?[=!](?:[^()]|\([^()]*\))*\)|\\b/g, '');
  try {
    const matching = fc.stringMatching(new RegExp(plain, flags.replace(/[gyi]/g, '')), { size: 'xsmall' });
    return fc.sample(matching, { seed: 1, numRuns: 6 }).filter((text) => text !== '' && text.length < 80);
  } catch {
    // A feature that fast-check does not know.
    return [];
  }
}

const SHORT = 1_000;
/** To read it in one pass takes some microseconds; in a pass for each of its characters, tens of milliseconds. */
const LONG = 8 * SHORT;
/** What is exponential takes as long for these as for ever. */
const TINY = [12, 24, 48, 200];
const TIMEOUT_MS = 500;
const SUSPICIOUS_MS = 3;
/** The least of several times is that of a try which nothing interrupted. */
const TRIES = [1, 2, 3, 4, 5];

/** How long each takes, up to the first that takes seconds. */
function timesOf({ source, flags }: Expression, attacks: readonly Attack[], length: number): number[] {
  const times: number[] = [];
  // Every match, as where a text is split or searched through.
  const expression = new RegExp(source, /[gy]/.test(flags) ? flags : `${flags}g`);
  const attack = (index: number) => {
    const { prefix, pump, suffix } = attacks[index]!;
    return prefix + pump.repeat(length / pump.length) + suffix;
  };
  const context = createContext({ times, expression, attack, count: attacks.length, now: () => performance.now() });
  const code = `for (let index = 0; index < count; index++) {
    const text = attack(index), begin = now();
    text.replace(expression, '');
    times.push(now() - begin);
  }`;
  try {
    runInContext(code, context, { timeout: TIMEOUT_MS });
  } catch {
    times.push(Infinity);
  }
  return times;
}

/** An attack that takes more time for each character of a longer input. */
function findAttack(expression: Expression): Attack | undefined {
  const attacks = attacksOn(expression);
  for (const length of TINY) {
    const found = attacks[timesOf(expression, attacks, length).indexOf(Infinity)];
    // All of them together may also have waited for a processor.
    if (found && TRIES.every(() => timesOf(expression, [found], length)[0] === Infinity)) return found;
  }
  const times = timesOf(expression, attacks, LONG);
  const suspects = attacks.filter((_, index) => (times[index] ?? 0) >= SUSPICIOUS_MS);
  return suspects.find((attack) => {
    const least = (length: number) => Math.min(...TRIES.map(() => timesOf(expression, [attack], length)[0]!));
    const time = least(LONG);
    // Of eight times the length: 8 times the time where it is linear, 64 times where it is quadratic.
    return time === Infinity || (time >= SUSPICIOUS_MS && time / least(SHORT) > 24);
  });
}

it.each([
  String.raw`eyJ[\w-]+\.[\w-]+\.[\w-]+`,
  String.raw`\/+$`,
  String.raw`(a+)+$`,
  String.raw`^(a|a)*$`,
  String.raw`^[^@]+@[\w.-]+\.[\w.-]+\.[\w.-]+$`,
])('an attack on /%s/ is found', (source) => {
  expect(findAttack({ place: '', source, flags: '' })).toBeDefined();
});

describe('no regular expression', () => {
  const known = [...new Map(expressions.map((one) => [`${one.source}/${one.flags}`, one])).values()];
  it.each(known)('takes more than linear time: $place /$source/$flags', (expression) => {
    expect(findAttack(expression)).toBeUndefined();
  });

  const routes = [...allRoutes(), ...Object.values(dialects).flatMap((dialect) => dialect.routes)];
  const document = openApiDocument({ serverUrl: 'http://keyledger.test', version: '1', routes });
  it.each(patternsOf(document))('of the contract takes more than linear time: /$source/', (expression) => {
    expect(findAttack(expression)).toBeUndefined();
  });

  it('is made while the program runs', () => {
    expect(made).toEqual([]);
    expect(known.length).toBeGreaterThan(100);
  });
});
