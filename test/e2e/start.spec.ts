import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { builtModule } from '../support/built-module.js';
import { COMPILE_CACHE, createDatabase, TEST_SECRET, type TestDatabase } from '../support/deployment.js';
import { Witness } from '../support/witness.js';
import { failedStartOf } from '../support/failed-start.js';

const { migrate } = await builtModule<typeof import('../../apps/cli/migrate.js')>('../../apps/cli/migrate.js');

let database: TestDatabase;
/** Has the schema of an earlier version, whose roles could not read the table of migrations. */
let earlier: TestDatabase;
/** Has the schema of a later version. */
let later: TestDatabase;

beforeAll(async () => {
  [database, earlier, later] = await Promise.all([createDatabase(), createDatabase(), createDatabase()]);
  await change(earlier, 'REVOKE SELECT ON migration FROM keyledger_api, keyledger_worker');
  await change(earlier, "UPDATE migration SET name = '0001-main-job'");
  await change(later, "INSERT INTO migration (name) VALUES ('9999-of-a-later-version')");
});

afterAll(() => Promise.all([database, earlier, later].map((each) => each.drop())));

async function change({ adminUrl }: TestDatabase, statement: string): Promise<void> {
  const sql = new pg.Client({ connectionString: adminUrl });
  await sql.connect();
  await sql.query(statement);
  await sql.end();
}

/** Starts a process as in production, and waits for its end. */
async function start(app: 'api' | 'worker', env: Record<string, string>, args: string[] = []) {
  const main = fileURLToPath(new URL(`../../dist/apps/${app}/main.js`, import.meta.url));
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...COMPILE_CACHE, LOG_LEVEL: 'fatal', PORT: '0', ...withSecret(env) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit') as Promise<[number]>]);
  return { said: said.trim(), code };
}

const withSecret = (env: Record<string, string>) => ({ KEYLEDGER_SECRET: TEST_SECRET, ...env });

/** One of each kind: by a setting, by an absent database and by an unsuitable one. */
const AS_PROCESSES = new Set(['no database is named', 'nothing responds there', 'its user lacks the role']);

describe.each(['api', 'worker'] as const)('the %s reports in one sentence why it does not start:', (app) => {
  const url = () => (app === 'api' ? database.apiUrl : database.workerUrl);
  const elsewhere = (change: (url: URL) => void) => {
    const changed = new URL(url());
    change(changed);
    return changed.href;
  };
  it.each<[string, () => Record<string, string>, RegExp, number]>([
    ['no database is named', () => ({}), /^DATABASE_URL must be a PostgreSQL address/, 78],
    [
      'the secret is missing',
      () => ({ DATABASE_URL: url(), KEYLEDGER_SECRET: '' }),
      /^KEYLEDGER_SECRET must be set/,
      78,
    ],
    [
      'the name of a setting is misspelt',
      () => ({ DATABASE_URL: url(), TRUSTED_PROXY: '10.0.0.1' }),
      /^TRUSTED_PROXY is not a setting, but looks like TRUST_PROXY: correct its name, or unset it\.$/,
      78,
    ],
    ['a setting is bad', () => ({ DATABASE_URL: url(), PORT: 'http' }), /^PORT must be a port number/, 78],
    [
      'nothing responds there',
      () => ({ DATABASE_URL: elsewhere((u) => (u.port = '1')) }),
      /can be reached: connect ECONNREFUSED/,
      1,
    ],
    [
      'it does not know the user',
      () => ({ DATABASE_URL: elsewhere((u) => (u.username = 'nobody')) }),
      /can be reached: password authentication failed|role/,
      78,
    ],
    [
      'the database does not exist',
      () => ({ DATABASE_URL: elsewhere((u) => (u.pathname = '/no')) }),
      /database "no" does not exist/,
      78,
    ],
    [
      'it is not migrated',
      () => ({ DATABASE_URL: elsewhere((u) => (u.pathname = '/template1')) }),
      /not migrated: run npm run migrate/,
      78,
    ],
    [
      'an earlier version made its schema',
      () => ({ DATABASE_URL: app === 'api' ? earlier.apiUrl : earlier.workerUrl }),
      /^The database has the schema of another version of Keyledger, .*: use an empty database/,
      78,
    ],
    [
      'a later version made its schema',
      () => ({ DATABASE_URL: app === 'api' ? later.apiUrl : later.workerUrl }),
      /^The database has the schema of another version of Keyledger, .*: use an empty database/,
      78,
    ],
    [
      'its user lacks the role',
      () => ({ DATABASE_URL: app === 'api' ? database.workerUrl : database.apiUrl }),
      /not a member of the role keyledger_(api|worker): grant it/,
      78,
    ],
  ])('%s', async (what, env, sentence, exitCode) => {
    const { said, code } = await (AS_PROCESSES.has(what) ? start(app, env()) : failedStartOf(app, withSecret(env())));
    expect(said).toMatch(sentence);
    expect(said.split('\n')).toHaveLength(1);
    expect(code).toBe(exitCode);
  });
});

it('the api does not start with a witness whose key has another id', async () => {
  const WITNESSES = `${new Witness('w.example/w').vkey.replace(/\+[\da-f]{8}\+/, '+00000000+')} https://w.example`;
  const { said, code } = await start('api', { DATABASE_URL: database.apiUrl, WITNESSES });
  expect({ said, code }).toEqual({
    said: expect.stringMatching(
      /^WITNESSES has a key that cannot be used: .* The key has the id [\da-f]{8}, not 00000000\.$/,
    ),
    code: 78,
  });
});

it.each([
  ['api', ['--port=3001'], '--port is an argument, and this process takes none: set the variable PORT.'],
  [
    'worker',
    ['--record-ip', 'none'],
    '--record-ip is an argument, and this process takes none: set the variable RECORD_CLIENT_ADDRESS.',
  ],
  ['api', ['now'], 'now is an argument, and this process takes none: its settings are variables of the environment.'],
] as const)('the %s does not start with the arguments %j, which it would ignore', async (app, args, sentence) => {
  expect(await start(app, { DATABASE_URL: database.apiUrl }, [...args])).toEqual({ said: sentence, code: 78 });
});

it.each([
  ['an earlier', () => earlier],
  ['a later', () => later],
])('a migration does not change a database whose schema %s version created', async (_which, which) => {
  await expect(migrate({ databaseUrl: which().adminUrl })).rejects.toThrow(/has the schema of another version/);
});

describe('the api', () => {
  it('names a taken port', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as AddressInfo;
    const { said, code } = await start('api', { DATABASE_URL: database.apiUrl, PORT: String(port) });
    await new Promise((resolve) => taken.close(resolve));
    expect([said, code]).toEqual([`PORT ${port} is taken by another process; stop it or set PORT to a free one.`, 78]);
  });

  /** Starts the API, waits until it is ready, and stops it. Returns its log. */
  async function startAndStop(databaseUrl: string): Promise<string> {
    const main = fileURLToPath(new URL('../../dist/apps/api/main.js', import.meta.url));
    const child = spawn(process.execPath, [main], {
      env: { ...COMPILE_CACHE, KEYLEDGER_SECRET: TEST_SECRET, LOG_LEVEL: 'warn', PORT: '0', DATABASE_URL: databaseUrl },
      stdio: ['ignore', 'pipe', 'ignore', 'ipc'],
    });
    const logged = text(child.stdout!);
    expect(await Promise.race([once(child, 'message'), once(child, 'exit')])).toEqual([
      { type: 'ready', url: expect.any(String) },
      undefined,
    ]);
    child.disconnect();
    expect(await once(child, 'exit')).toEqual([0, null]);
    return logged;
  }

  it('waits if its first connections take long, and logs that once', async () => {
    const { hostname, port } = new URL(database.apiUrl);
    let delayed = 0;
    const slow = createServer((near) => {
      near.on('error', () => undefined);
      near.once('data', (first: Buffer) => {
        if (first.includes('keyledger_api reads') && delayed < 2) {
          delayed += 1;
          return;
        }
        const far = connect(Number(port), hostname).on('error', () => undefined);
        far.write(first);
        near.pipe(far).pipe(near);
      });
    });
    await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
    const address = new URL(database.apiUrl);
    address.port = String((slow.address() as AddressInfo).port);
    const logged = await startAndStop(address.href);
    slow.close();
    expect(delayed).toBe(2);
    expect(logged.trim().split('\n')).toEqual([expect.stringContaining('Trying again, up to 4 times.')]);
  });

  it('rejects a secret that does not belong to the database', async () => {
    await startAndStop(database.apiUrl);

    const { said, code } = await start('api', { DATABASE_URL: database.apiUrl, KEYLEDGER_SECRET: 'y'.repeat(40) });
    expect(said).toBe("KEYLEDGER_SECRET differs from the secret with which this database's signing keys were sealed.");
    expect(code).toBe(78);
  });
});
