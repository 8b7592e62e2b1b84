import { randomBytes, randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { INestApplicationContext } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import pg from 'pg';
import { createClient, type Client } from '#libs/client/client.js';
import { survivingPool } from '#libs/database/database.js';
import type { DatabaseClock } from '#libs/platform/clock.js';
import type { HttpLimits } from '#libs/platform/http/http-limits.js';
import { builtModule } from './built-module.js';

const { createApi } = await builtModule<typeof import('../../apps/api/api.js')>('../../apps/api/api.js');
const { createWorker } = await builtModule<typeof import('../../apps/worker/worker.js')>('../../apps/worker/worker.js');
const { newOperatorLink } = await builtModule<typeof import('../../apps/cli/operator-link.js')>(
  '../../apps/cli/operator-link.js',
);
const { readConfig } = await builtModule<typeof import('#libs/platform/config.js')>('#libs/platform/config.js');
const { HTTP_LIMITS } = await builtModule<typeof import('#libs/platform/http/http-limits.js')>(
  '#libs/platform/http/http-limits.js',
);
const { OperatorReads } = await builtModule<typeof import('#libs/organizations/operator-reads.js')>(
  '#libs/organizations/operator-reads.js',
);
const { ImportedTokens } = await builtModule<typeof import('#libs/api-keys/verification/imported-tokens.js')>(
  '#libs/api-keys/verification/imported-tokens.js',
);
const { DatabaseClock: Time } = await builtModule<typeof import('#libs/platform/clock.js')>('#libs/platform/clock.js');

/** A database of its own, cloned from the template, with a URL for each user. */
export interface TestDatabase {
  readonly name: string;
  readonly adminUrl: string;
  readonly apiUrl: string;
  readonly workerUrl: string;
  /** Where the anchor of its audit logs is after the first checkpoint. */
  readonly anchorFile: string;
  drop(): Promise<void>;
}

/** A PostgreSQL server with a migrated database to clone, and logins for the API and the worker. */
export interface TestServer {
  readonly adminUrl: string;
  readonly template: string;
}

const sharedServer = (): TestServer => ({
  adminUrl: process.env['KEYLEDGER_TEST_ADMIN_URL']!,
  template: process.env['KEYLEDGER_TEST_TEMPLATE']!,
});

export async function createDatabase({ adminUrl: serverUrl, template } = sharedServer()): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  const admin = async (sql: string) => {
    const client = new pg.Client({ connectionString: serverUrl });
    await client.connect();
    await client.query(sql);
    await client.end();
  };
  // Through the WAL, which is the default, creating and dropping a database takes 90 ms of CPU time instead of 35.
  await admin(`CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY FILE_COPY`);
  const anchorFile = join(tmpdir(), `keyledger-anchor-${name}`);
  return {
    name,
    anchorFile,
    adminUrl: urlFor(serverUrl, name),
    apiUrl: urlFor(serverUrl, name, 'keyledger_test_api'),
    workerUrl: urlFor(serverUrl, name, 'keyledger_test_worker'),
    async drop() {
      await admin(`DROP DATABASE ${name} WITH (FORCE)`);
      await rm(anchorFile, { force: true });
    },
  };
}

function urlFor(serverUrl: string, database: string, user?: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${database}`;
  if (user) {
    url.username = user;
    url.password = 'test';
  }
  return url.href;
}

export interface Account {
  readonly email: string;
  readonly password: string;
  readonly userId: string;
  readonly organizationId: string;
  readonly accessToken: string;
  readonly refreshToken: string;
  /** A client that is signed in. */
  readonly client: Client;
}

/** A running deployment: the API and the worker in this process, on a database of its own. */
export interface Deployment {
  readonly url: string;
  readonly database: TestDatabase;
  readonly api: NestFastifyApplication;
  /** Connected as the superuser, to read what the services wrote, or to damage it. */
  readonly sql: pg.Pool;
  /** Moves the clock by which the API decides. */
  advance(milliseconds: number): void;
  client(credentials?: { apiKey?: string; accessToken?: string; headers?: Record<string, string> }): Client;
  /** Creates a new user and signs in. */
  account(invitationToken?: string): Promise<Account>;
  /** Creates a new operator and signs in. */
  operator(): Promise<Account>;
  /** Restarts the API on the same port and database, as an upgrade does. Requires `port`. */
  restartApi(changedEnv?: Record<string, string>): Promise<void>;
  stop(): Promise<void>;
}

/** The launcher's compile cache, for the processes that a test starts. */
export const COMPILE_CACHE = { NODE_COMPILE_CACHE: join(import.meta.dirname, '../../node_modules/.cache/keyledger') };

/** A module that the processes of a test import, unless the cost of a hash is what it tests. */
export const CHEAP_ARGON2ID = join(import.meta.dirname, 'cheap-argon2id.mjs');

export const TEST_SECRET = 'a secret for tests only, long enough to be one';

const SHORT_PAUSE_MS = 10;

export interface DeploymentOptions {
  readonly env?: Record<string, string>;
  /** Without a worker, nothing is ingested. */
  readonly worker?: boolean;
  /** The port of the API, for a PUBLIC_URL that must be reachable; a free port by default. */
  readonly port?: number;
  /** The folder of the built dashboard; by default there is no dashboard. */
  readonly dashboard?: string;
  /** HTTP limits that differ from the defaults. */
  readonly limits?: Partial<HttpLimits>;
  /** The port at which the API finds PostgreSQL, if a proxy stands between. */
  readonly databasePort?: number;
  /** A server of the test's own instead of the shared one. */
  readonly server?: TestServer;
  /** Waits as long as in production for the other calls of a page, and for other nodes. Default: false. */
  readonly realPauses?: boolean;
}

/** Passport keeps its strategies in one place for the whole process: a second API here would respond for the first. */
let running = false;

/** Starts another worker beside the running ones. */
export function startWorker({ workerUrl }: TestDatabase): Promise<INestApplicationContext> {
  return createWorker(readConfig({ DATABASE_URL: workerUrl, KEYLEDGER_SECRET: TEST_SECRET, LOG_LEVEL: 'fatal' }));
}

function settingsOf({ anchorFile }: TestDatabase, env?: Record<string, string>) {
  return {
    HOST: '127.0.0.1',
    ANCHOR_FILE: anchorFile,
    PORT: '0',
    PUBLIC_URL: 'http://keyledger.test',
    KEYLEDGER_SECRET: TEST_SECRET,
    REGISTRATION: 'open',
    TOKEN_AUDIENCES: 'orders',
    LOG_LEVEL: 'fatal',
    ...env,
  };
}

/** Starts a deployment; a test file can have one at a time. Tests with several nodes start processes. */
export async function startDeployment(options: DeploymentOptions = {}): Promise<Deployment> {
  if (running) throw new Error('A deployment runs already in this process');
  running = true;
  const database = await createDatabase(options.server);
  const env: ReturnType<typeof settingsOf> & Record<string, string> = settingsOf(database, options.env);
  const apiUrl = new URL(database.apiUrl);
  if (options.databasePort) apiUrl.port = String(options.databasePort);
  const startApi = async () => {
    const started = await createApi(readConfig({ ...env, DATABASE_URL: apiUrl.href }), options.dashboard, {
      ...HTTP_LIMITS,
      ...options.limits,
    });
    if (!options.realPauses) {
      started.get(OperatorReads, { strict: false }).quietMs = SHORT_PAUSE_MS;
      started.get(ImportedTokens, { strict: false }).noneMs = SHORT_PAUSE_MS;
    }
    await started.listen(options.port ?? 0, '127.0.0.1');
    return started;
  };
  let api = await startApi();
  let advance = movableClock(api.get(Time));
  const url = await api.getUrl();
  const worker: INestApplicationContext | undefined =
    options.worker === false ? undefined : await createWorker(readConfig({ ...env, DATABASE_URL: database.workerUrl }));
  const sql = survivingPool({ connectionString: database.adminUrl });

  const client: Deployment['client'] = (credentials) => createClient({ baseUrl: url, ...credentials });
  return {
    url,
    database,
    get api() {
      return api;
    },
    sql,
    advance: (milliseconds) => advance(milliseconds),
    client,
    account: (invitationToken) => openAccount(client, invitationToken),
    async operator() {
      const { token } = await newOperatorLink(database.apiUrl, env.PUBLIC_URL, null);
      return openAccount(client, token);
    },
    async restartApi(changedEnv) {
      await api.close();
      Object.assign(env, changedEnv);
      api = await startApi();
      advance = movableClock(api.get(Time));
    },
    async stop() {
      running = false;
      await worker?.close();
      await api.close();
      await sql.end();
      await database.drop();
    },
  };
}

/** @returns a function that moves the clock by a number of milliseconds */
export function movableClock(clock: DatabaseClock): (milliseconds: number) => void {
  let offset = 0;
  const real = clock.milliseconds.bind(clock);
  clock.milliseconds = () => real() + offset;
  return (milliseconds) => {
    offset += milliseconds;
  };
}

async function openAccount(client: Deployment['client'], invitationToken?: string): Promise<Account> {
  const email = `${randomUUID()}@example.com`;
  const password = `quiet ${randomBytes(9).toString('base64url')} harbour`;
  const { user, organization } = await client().auth.register({
    body: { email, password, name: 'Ada Lovelace', ...(invitationToken && { invitation_token: invitationToken }) },
  });
  const tokens = await client().auth.login({ body: { email, password } });
  return {
    email,
    password,
    userId: user.id,
    organizationId: organization.id,
    accessToken: tokens.access_token,
    refreshToken: tokens.refresh_token!,
    client: client({ accessToken: tokens.access_token }),
  };
}
