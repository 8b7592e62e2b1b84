import { globSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { mutableState } from './module-state.js';

const root = join(import.meta.dirname, '../..');

const MEMO = 'remembers what a pure function returned';
const METRIC = 'samples of a metric of the process';
const SCRATCH = 'written before each use, within one call that nothing interrupts';
const POSITION = 'the position in a text, set before each use';

/** The state that a module may keep, by file and name or by folder, and why sharing it does no harm. */
const JUSTIFIED: Readonly<Record<string, string>> = {
  'apps/cli/remote/text.ts graphemes': MEMO,
  'apps/dashboard/': 'a page in a browser is one program with one session, which ends with the page',
  'libs/api-keys/verification/verification-metrics.ts outcomes': METRIC,
  'libs/audit/log-growth.ts leaf': SCRATCH,
  'libs/audit/log-growth.ts node': SCRATCH,
  'libs/auth/password-strength.worker.ts zxcvbn': 'dictionaries that do not change, of a thread that does nothing else',
  'libs/client/client.ts entityTags': 'belongs to each response, and goes with it',
  'libs/client/repeated.ts repeated': 'belongs to each response, and goes with it',
  'libs/contract/idempotency.ts known': MEMO,
  'libs/contract/ids.ts used': 'random bytes in advance: none is used twice',
  'libs/contract/ids.ts read': MEMO,
  'libs/contract/use-records.ts lastSecond': MEMO,
  'libs/contract/use-records.ts lastTime': MEMO,
  'libs/nest/keyledger.module.ts { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN }': 'a class and a symbol',
  'libs/platform/http/http-server.ts dropped': METRIC,
  'libs/platform/http/json-text.ts STRING': POSITION,
  'libs/platform/http/json-text.ts LITERAL': POSITION,
  'libs/platform/http/unknown-proxies.ts counts': METRIC,
  'libs/platform/metrics.ts registry': 'the metrics of the process',
  'libs/platform/redact.ts ONE_TIME': POSITION,
  'libs/platform/redact.ts JWT_PART': POSITION,
  'libs/platform/tracing.ts tracing': 'OpenTelemetry is started once for the process',
  'libs/verify/callers.ts callers': 'belongs to each request, and goes with it',
};

it('no module keeps state that two services in one process, or two tests, would share unnoticed', () => {
  const files = globSync('{apps,libs}/**/*.{ts,tsx,mjs}', { cwd: root }).filter((file) => !file.endsWith('.spec.ts'));
  const found = mutableState(root, files.toSorted());
  const isJustified = (place: string) =>
    Object.hasOwn(JUSTIFIED, place) || Object.keys(JUSTIFIED).some((key) => key.endsWith('/') && place.startsWith(key));
  expect(found.filter((place) => !isJustified(place))).toEqual([]);
  expect(Object.keys(JUSTIFIED).filter((key) => !found.some((place) => place.startsWith(key)))).toEqual([]);
});

it('the state of a module is found in each of its forms', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'keyledger-state-'));
  const changing = [
    `let assigned = 0; export function change() { assigned += 1; }`,
    `export let late: string | undefined; export const change = () => (late ??= 'x');`,
    `var counted = 0; export class A { change() { counted++; } }`,
    `const map = new Map<string, string>(); export function change() { map.set('a', 'b'); }`,
    `const weak = new WeakMap<object, string>(); export const change = (key: object) => weak.delete(key);`,
    `const list: string[] = []; export const change = () => { list.push('a'); };`,
    `const record = { a: { b: 1 } }; export function change() { record.a.b = 2; }`,
    `const cells = [1]; export function change() { cells[0]! -= 1; }`,
    `const record2: Record<string, string> = {}; export function change() { delete record2['a']; }`,
    `import { LRUCache } from 'lru-cache'; export const cache = new LRUCache({ max: 1 });`,
    `export class Counted { static #times = 0; change() { Counted.#times += 1; } }`,
  ];
  const constant = [
    `const SET = new Set(['a']); export const has = (text: string) => SET.has(text);`,
    `const list = [1]; export function own() { const list: number[] = []; list.push(1); return list; }`,
    `const TABLE = new Uint8Array(4); for (const index of TABLE.keys()) TABLE[index] = 1; export const at = TABLE[0];`,
    `export const make = () => new Map(); export class A { static readonly NAME = 'a'; #state = new Map(); }`,
  ];
  const files = [...changing, ...constant].map((_, index) => `${index}.ts`);
  await Promise.all([...changing, ...constant].map((text, index) => writeFile(join(directory, files[index]!), text)));
  const found = mutableState(directory, files).map((place) => place.split(' ')[0]);
  await rm(directory, { recursive: true });
  expect(found).toEqual(changing.map((_, index) => `${index}.ts`));
});
