import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createCable } from '../support/cable.js';
import { COMPILE_CACHE, createDatabase, TEST_SECRET, type TestDatabase } from '../support/deployment.js';

const DIST = join(import.meta.dirname, '../../dist');
const WORKER = join(DIST, 'apps/worker/main.js');
const QUEUES = pathToFileURL(join(DIST, 'libs/platform/queue.js')).href;

/** What a consumer of the worker does when it starts. Its first job ends the process with code 0. */
const CONSUMER = `
  const { Queues } = await import('${QUEUES}');
  const queues = new Queues({ settings: { DATABASE_URL: process.env.DATABASE_URL } });
  const queue = queues.queue('upkeep');
  await queues.onModuleInit();
  await queues.schedule(queue, 'upkeep', 1_000);
  await queues.worker('upkeep', async () => process.exit(0), 1);
`;
/** Much longer than a start takes. A worker that asks again without a pause would go on forever. */
const HANGS_AFTER_MS = 20_000;

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

afterAll(() => database.drop());

it('a worker works, or does not start, whichever of its connections for the queue ends at once', async () => {
  const consumer = (resets: (connection: number) => boolean) =>
    run(['--input-type=module', '--eval', CONSUMER], resets, database.workerUrl);
  const whole = await consumer(() => false);
  expect(whole).toMatchObject({ code: 0, signal: null });
  const all = await Promise.all(
    Array.from({ length: whole.connections }, (_, n) => consumer((connection) => connection === n + 1)),
  );
  expect(all.map(({ signal }) => signal).filter(Boolean)).toEqual([]);
  expect(new Set(all.map(({ code }) => code))).toEqual(new Set([0, 1]));
});

it.each(['api', 'worker'] as const)(
  'the %s that loses the database while it starts ends with a sentence',
  async (app) => {
    const url = app === 'api' ? database.apiUrl : database.workerUrl;
    const main = join(DIST, 'apps', app, 'main.js');
    // The first connection checks the database.
    const { code, errors } = await run([main], (connection) => connection > 1, url);
    expect(code).toBe(1);
    expect(errors).toMatch(
      /^The service did not start, because a connection to PostgreSQL or Redis ended: .+\. Start it again\.\n$/,
    );
  },
);

it('a worker ends when asked, while PostgreSQL accepts no connection', async () => {
  const cable = await createCable(new URL(database.workerUrl));
  const url = Object.assign(new URL(database.workerUrl), { port: String(cable.port) });
  const worker = fork(WORKER, {
    env: environment(url.href),
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  await once(worker, 'message');
  cable.cut();
  await cable.close();
  // Each queue has tried to connect by then.
  await sleep(500);
  worker.kill('SIGTERM');
  expect(await once(worker, 'exit')).toEqual([0, null]);
});

/** @param resets which connections to the database are reset, by their number */
async function run(args: readonly string[], resets: (connection: number) => boolean, databaseUrl: string) {
  const cable = await createCable(new URL(databaseUrl), resets);
  const url = Object.assign(new URL(databaseUrl), { port: String(cable.port) });
  const child = spawn(process.execPath, args, {
    env: environment(url.href),
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: HANGS_AFTER_MS,
    killSignal: 'SIGKILL',
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  await cable.close();
  return { code, signal, errors, connections: cable.connections() };
}

const environment = (databaseUrl: string) => ({
  PATH: process.env['PATH'],
  ...COMPILE_CACHE,
  DATABASE_URL: databaseUrl,
  ANCHOR_FILE: database.anchorFile,
  PUBLIC_URL: 'http://keyledger.test',
  KEYLEDGER_SECRET: TEST_SECRET,
  LOG_LEVEL: 'fatal',
});
