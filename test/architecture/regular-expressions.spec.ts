import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createContext, Script } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Node, SourceFile } from 'typescript';
import { builtModule } from '../support/built-module.js';

const { default: ts } = await builtModule<{ default: typeof import('typescript') }>('typescript');
const { dialects } = await builtModule<typeof import('#libs/api-keys/dialects/dialects.js')>(
  '#libs/api-keys/dialects/dialects.js',
);
const { openApiDocument } = await builtModule<typeof import('#libs/contract/openapi.js')>('#libs/contract/openapi.js');
const { allRoutes } = await builtModule<typeof import('#libs/contract/routes.js')>('#libs/contract/routes.js');

/**
 * A regular expression that backtracks lets a caller block the event loop with one header. So each expression has to
 * run in time proportional to its input, whatever it is used for today. Then a new use needs no new check.
 */
const root = join(import.meta.dirname, '../..');

interface Expression {
  readonly place: string;
  readonly source: string;
  readonly flags: string;
}

interface Found {
  readonly expressions: Expression[];
  /** Expressions that the program makes at run time, possibly from input. */
  readonly made: string[];
}

function search(): Found {
  const found: Found = { expressions: [], made: [] };
  for (const file of globSync('{apps,libs}/**/*.{ts,tsx,mjs}', { cwd: root }).toSorted()) {
    if (/\.spec\.|\.d\.ts$/.test(file)) continue;
    const kind = file.endsWith('.tsx') ? ts.ScriptKind.TSX : ts.ScriptKind.TS;
    const text = readFileSync(join(root, file), 'utf8');
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true, kind);
    const visit = (node: Node): void => {
      note(node, source, found);
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return found;
}

function note(node: Node, source: SourceFile, { expressions, made }: Found): void {
  const place = `${source.fileName}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
  if (ts.isRegularExpressionLiteral(node)) {
    const end = node.text.lastIndexOf('/');
    expressions.push({ place, source: node.text.slice(1, end), flags: node.text.slice(end + 1) });
  }
  if ((ts.isNewExpression(node) || ts.isCallExpression(node)) && node.expression.getText() === 'RegExp') {
    made.push(`${place} ${node.getText()}`);
  }
  // These methods make an expression of a text argument.
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return;
  const [argument] = node.arguments;
  if (!['search', 'matchAll'].includes(node.expression.name.text) || !argument) return;
  if (!ts.isRegularExpressionLiteral(argument)) made.push(`${place} ${node.getText()}`);
}

/** The patterns of zod, for addresses, times and the like. */
function patternsOf(value: unknown, place = 'OpenAPI'): Expression[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]: [string, unknown]) =>
    name === 'pattern' && typeof inner === 'string'
      ? [{ place, source: inner, flags: '' }]
      : patternsOf(inner, `${place}.${name}`),
  );
}

const { expressions, made } = search();

/** What an input repeats, with a beginning and an end that let as much as possible match before the match fails. */
interface Attack {
  readonly prefix: string;
  readonly pump: string;
  readonly suffix: string;
}

/** Attacks made from texts that match the expression: their beginnings, and parts of them repeated many times. */
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
  // If the expression allows no ASCII character, fast-check searches forever.
  if (/\\u|\[\^\\0/.test(source)) return [];
  // An attack need not match, so assertions are removed.
  const plain = source.replace(/\(\?<?[=!](?:[^()]|\([^()]*\))*\)|\\b/g, '');
  try {
    const matching = fc.stringMatching(new RegExp(plain, flags.replace(/[gyi]/g, '')), { size: 'xsmall' });
    return fc.sample(matching, { seed: 1, numRuns: 6 }).filter((text) => text !== '' && text.length < 80);
  } catch {
    // The expression uses a feature that fast-check does not know.
    return [];
  }
}

const SHORT = 1_000;
/** Reading this in one pass takes some microseconds. One pass for each character takes tens of milliseconds. */
const LONG = 8 * SHORT;
/** With these lengths, an exponential expression already exceeds the timeout. */
const TINY = [12, 24, 48, 200];
const TIMEOUT_MS = 250;
/** For one attack by itself, of which a linear expression needs some microseconds. */
const TIMEOUT_OF_ONE_MS = 60;
const SUSPICIOUS_MS = 3;
/** The shortest of several times belongs to a try that nothing interrupted. */
const TRIES = [1, 2, 3];
const MEASUREMENTS = [1, 2, 3];

/** The time of this thread on a processor, in milliseconds. It stands still while other programs run. */
function processorTime(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

const context = createContext({ now: processorTime });
const REPLACE_ALL = new Script(`for (let index = 0; index < count; index++) {
  const text = attack(index), begin = now();
  text.replace(expression, '');
  times.push(now() - begin);
}`);

/** The time of each attack, up to the first one that exceeds the timeout. */
function timesOf({ source, flags }: Expression, attacks: readonly Attack[], length: number): number[] {
  const times: number[] = [];
  // Finds every match, as a split or a search through a text does.
  const expression = new RegExp(source, /[gy]/.test(flags) ? flags : `${flags}g`);
  const attack = (index: number) => {
    const { prefix, pump, suffix } = attacks[index]!;
    return prefix + pump.repeat(length / pump.length) + suffix;
  };
  Object.assign(context, { times, expression, attack, count: attacks.length });
  try {
    REPLACE_ALL.runInContext(context, { timeout: attacks.length === 1 ? TIMEOUT_OF_ONE_MS : TIMEOUT_MS });
  } catch {
    times.push(Infinity);
  }
  return times;
}

/** Finds an attack whose time for each character grows with the length of the input. */
function findAttack(expression: Expression): Attack | undefined {
  const attacks = attacksOn(expression);
  for (const length of TINY) {
    const found = attacks[timesOf(expression, attacks, length).indexOf(Infinity)];
    // The whole series may also have reached the timeout because it waited for a processor.
    if (found && isEndless(expression, found, length)) return found;
  }
  const times = timesOf(expression, attacks, LONG);
  const suspects = attacks.filter((_, index) => (times[index] ?? 0) >= SUSPICIOUS_MS);
  // On a busy machine one measurement may be wrong, so several must agree.
  return suspects.find(
    (attack) => isEndless(expression, attack, LONG) || MEASUREMENTS.every(() => growsTooFast(expression, attack)),
  );
}

function isEndless(expression: Expression, attack: Attack, length: number): boolean {
  return TRIES.every(() => timesOf(expression, [attack], length)[0] === Infinity);
}

function growsTooFast(expression: Expression, attack: Attack): boolean {
  const least = (length: number) => Math.min(...TRIES.map(() => timesOf(expression, [attack], length)[0]!));
  const time = least(LONG);
  // Eight times the length takes 8 times the time if it is linear, and 64 times if it is quadratic.
  return time === Infinity || (time >= SUSPICIOUS_MS && time / least(SHORT) > 24);
}

it.each([
  String.raw`eyJ[\w-]+\.[\w-]+\.[\w-]+`,
  String.raw`\/+$`,
  String.raw`(a+)+$`,
  String.raw`^(a|a)*$`,
  String.raw`^[^@]+@[\w.-]+\.[\w.-]+\.[\w.-]+$`,
])('the check finds an attack on /%s/', (source) => {
  expect(findAttack({ place: '', source, flags: '' })).toBeDefined();
});

describe('no regular expression', () => {
  const known = [...new Map(expressions.map((one) => [`${one.source}/${one.flags}`, one])).values()];
  it.each(known)('takes more than linear time: $place /$source/$flags', (expression) => {
    expect(findAttack(expression)).toBeUndefined();
  });

  const routes = [...allRoutes(), ...Object.values(dialects).flatMap((dialect) => dialect.routes)];
  const document = openApiDocument({ serverUrl: 'http://keyledger.test', version: '1', routes });
  const ofContract = [...new Map(patternsOf(document).map((one) => [one.source, one])).values()];
  it.each(ofContract)('of the contract takes more than linear time: /$source/', (expression) => {
    expect(findAttack(expression)).toBeUndefined();
  });

  it('is built at run time', () => {
    expect(made).toEqual([]);
    expect(known.length).toBeGreaterThan(100);
  });
});
