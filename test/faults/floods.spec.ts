import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { createClient, type Client } from '#libs/client/client.js';
import { shardOf } from '#libs/outbox/shard.js';
import { newOperatorLink } from '../../apps/cli/operator-link.js';
import { openConnection, requestOf } from '../bench/connection.js';
import { copyKeys, useOnce, type Key } from '../bench/keys.js';
import { quantile } from '../bench/report.js';
import { TEST_SECRET } from '../support/deployment.js';
import { outcomeOf } from '../support/rejection.js';
import { startProcesses, type Processes } from './processes.js';

/**
 * Measures how one tenant's flood of changes affects others, on two nodes. `FLOOD_SECONDS` makes each part longer, for
 * meaningful figures, and adds those without a flood. The bounds count changes of the flood, not time, so they also hold on
 * a slow or busy machine.
 */
const SECONDS = Number(process.env['FLOOD_SECONDS'] ?? 1);
const IS_MEASURED = 'FLOOD_SECONDS' in process.env;
const CONNECTIONS = 16;
/**
 * The number of changes of the flood that may get a response while a request of another user waits. When only row locks
 * ordered the changes, a revocation waited for every change of the flood.
 */
const MOST_CHANGES_BEFORE = CONNECTIONS;
/** A flood has at least so many changes, however long they take: a request that waited for its end would exceed the bound. */
const FLOOD_CHANGES = MOST_CHANGES_BEFORE + CONNECTIONS / 2;
/** The number of transactions that a node may have open at once, for changes and for the turns of sign-ins. */
const MOST_TRANSACTIONS = 9;

const REVOKE_EVERY_MS = 400;
const SUSPEND_EVERY_MS = 700;
const SIGN_IN_EVERY_MS = 700;
const ASK_EVERY_MS = 40;
const LOOK_EVERY_MS = 50;

interface Person {
  readonly email: string;
  readonly password: string;
  readonly accessToken: string;
  /** One client for each node. */
  readonly clients: readonly Client[];
}

let deployment: Processes;
let urls: readonly string[];
let flooder: Person;
/** Members of the flooded organization, one for each connection. */
let flooders: readonly Person[];
let member: Person;
let operator: Person;
let bystander: Person;
let flooded: string;
let projects: readonly string[];
let keys: readonly Key[];
let revocable: Key[];
let inShard: Key;
let elsewhere: Key;

beforeAll(async () => {
  deployment = await startProcesses({
    apis: 2,
    realArgon2id: IS_MEASURED,
    env: {
      MAX_PROJECTS_PER_ORGANIZATION: '1000000',
      MAX_KEYS_PER_ORGANIZATION: '1000000',
      MAX_ORGANIZATIONS_PER_USER: '1000',
    },
  });
  urls = deployment.apis.map(({ url }) => url);
  const { token } = await newOperatorLink(deployment.database.apiUrl, 'http://keyledger.test', null);
  operator = await newPerson(token);
  flooder = await newPerson();
  const { id } = await flooder.clients[0]!.organizations.create({ body: { name: 'Flooded' } });
  flooded = id;
  const invitation = await flooder.clients[0]!.invitations.create({ params: { id }, body: { role: 'admin' } });
  member = await newPerson(invitation.token);
  flooders = await Promise.all(Array.from({ length: CONNECTIONS }, newFlooder));
  bystander = await newPerson();
  inShard = await keyWhere((shard) => shard === shardOf(flooded));
  elsewhere = await keyWhere((shard) => shard !== shardOf(flooded));
  await Promise.all(urls.flatMap((url) => [inShard, elsewhere].map(({ token: key }) => useOnce(url, key))));
  await prepareFlood();
});

afterAll(() => deployment.stop());

async function newPerson(invitationToken?: string): Promise<Person> {
  const anonymous = createClient({ baseUrl: urls[0]! });
  const account = { email: `${randomUUID()}@example.com`, password: `quiet ${randomUUID()} harbour` };
  await anonymous.auth.register({
    body: { ...account, name: 'Ada', ...(invitationToken && { invitation_token: invitationToken }) },
  });
  const { access_token: accessToken } = await anonymous.auth.login({ body: account });
  return { ...account, accessToken, clients: urls.map((baseUrl) => createClient({ baseUrl, accessToken })) };
}

async function newFlooder(): Promise<Person> {
  const { token } = await flooder.clients[0]!.invitations.create({ params: { id: flooded }, body: { role: 'admin' } });
  return newPerson(token);
}

async function newKey(by: Person, organizationId: string): Promise<Key> {
  const body = { name: 'Subject', scopes: ['triggers:read'], organization_id: organizationId };
  const { id, key } = await by.clients[0]!.apiKeys.create({ body });
  return { id, token: key };
}

async function keyWhere(isWanted: (shard: number) => boolean): Promise<Key> {
  for (;;) {
    const { id } = await bystander.clients[0]!.organizations.create({ body: { name: 'Bystander' } });
    if (isWanted(shardOf(id))) return newKey(bystander, id);
  }
}

async function prepareFlood(): Promise<void> {
  const name = 'Flood';
  const made = Array.from({ length: CONNECTIONS }, () =>
    flooder.clients[0]!.projects.create({ body: { name, organization_id: flooded } }),
  );
  projects = (await Promise.all(made)).map(({ id }) => id);
  const key = await newKey(flooder, flooded);
  const sql = new pg.Client({ connectionString: deployment.database.adminUrl });
  await sql.connect();
  keys = await copyKeys(sql, key, CONNECTIONS, TEST_SECRET);
  // Enough for floods of ten more seconds each.
  revocable = await copyKeys(sql, key, Math.ceil(((SECONDS + 10) * 1_000) / REVOKE_EVERY_MS) * 8, TEST_SECRET);
  await sql.end();
}

function change(method: string, path: string, body: object, by = flooder): string {
  const text = JSON.stringify(body);
  return [
    `${method} ${path} HTTP/1.1`,
    'host: keyledger.test',
    `authorization: Bearer ${by.accessToken}`,
    'content-type: application/json',
    `content-length: ${text.length}`,
    '',
    text,
  ].join('\r\n');
}

type Flood = (connection: number, n: number) => string;

function creation(connection: number, n: number, by: Person): string {
  const body = { name: `Flood ${n}`, organization_id: flooded };
  return connection % 2
    ? change('POST', '/api/v1/projects', body, by)
    : change('POST', '/api/v1/api-keys', { ...body, scopes: ['triggers:read'] }, by);
}

const floods: Record<string, Flood> = {
  'project updates': (connection, n) =>
    change('PATCH', `/api/v1/projects/${projects[connection]}`, { description: `Flood ${n}` }),
  'key updates': (connection, n) =>
    change('PATCH', `/api/v1/api-keys/${keys[connection]!.id}`, { description: `Flood ${n}` }),
  creations: (connection, n) => creation(connection, n, flooder),
  'creations by sixteen members': (connection, n) => creation(connection, n, flooders[connection]!),
};

/** The measurements of one kind of request: how long each request took, and its outcome. */
class Measured {
  readonly times: number[] = [];
  readonly statuses = new Map<number | string, number>();
  /** The largest number of changes of the flood that got a response while one of these requests waited. */
  mostChangesBefore = 0;

  /** @param flood the flood that runs beside these requests */
  constructor(private readonly flood: Measured | null) {}

  async time(work: () => Promise<number | string>): Promise<void> {
    const began = performance.now();
    const changes = this.#changesOfFlood;
    const status = await work();
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
    this.times.push(performance.now() - began);
    this.mostChangesBefore = Math.max(this.mostChangesBefore, this.#changesOfFlood - changes);
  }

  get #changesOfFlood(): number {
    return this.flood?.times.length ?? 0;
  }

  get figures(): string {
    const ms = (value: number) => value.toFixed(1).padStart(7);
    const responses = [...this.statuses].map(([status, count]) => `${count} × ${status}`).join(', ');
    const [p50, p99, most] = [0.5, 0.99, 1].map((q) => ms(quantile(this.times, q)));
    const changes = this.flood?.times.length ? `, behind at most ${this.mostChangesBefore} changes` : '';
    return `p50 ${p50}   p99 ${p99}   most ${most} ms   ${responses}${changes}`;
  }
}

interface Part {
  readonly revocations: Measured;
  readonly suspensions: Measured;
  readonly signIns: Measured;
  readonly sameShard: Measured;
  readonly otherShard: Measured;
  readonly flood: Measured;
  /** The largest number of connections of one node that had a transaction open. */
  transactions: number;
}

/** Sends the requests of all other users for a while, beside the flood if there is one. */
async function measure(flood?: Flood, seconds = SECONDS): Promise<Part> {
  const ofFlood = new Measured(null);
  const part: Part = {
    revocations: new Measured(ofFlood),
    suspensions: new Measured(ofFlood),
    signIns: new Measured(ofFlood),
    sameShard: new Measured(ofFlood),
    otherShard: new Measured(ofFlood),
    flood: ofFlood,
    transactions: 0,
  };
  const until = performance.now() + seconds * 1_000;
  const isOver = () => performance.now() >= until && (!flood || ofFlood.times.length >= FLOOD_CHANGES);
  const repeat = async (everyMs: number, work: (n: number) => Promise<unknown>) => {
    for (let n = 0; !isOver(); n++) {
      await work(n);
      await sleep(everyMs);
    }
  };
  const flooding = flood
    ? Array.from({ length: CONNECTIONS }, (_, index) => send(flood, index, isOver, part.flood))
    : [];
  // The flood starts before the requests that it may delay.
  if (flood) await sleep(200);
  const others = [
    repeat(REVOKE_EVERY_MS, (n) =>
      part.revocations.time(() =>
        outcomeOf(member.clients[n % 2]!.apiKeys.revoke({ params: { id: revocable.pop()!.id } })),
      ),
    ),
    repeat(SUSPEND_EVERY_MS, async (n) => {
      const of = { params: { id: flooded } };
      await part.suspensions.time(() =>
        outcomeOf(operator.clients[n % 2]!.deployment.suspendOrganization({ ...of, body: {} })),
      );
      await operator.clients[n % 2]!.deployment.resumeOrganization(of);
    }),
    repeat(SIGN_IN_EVERY_MS, (n) => {
      const { email, password } = bystander;
      const { auth } = createClient({ baseUrl: urls[n % 2]! });
      return part.signIns.time(() => outcomeOf(auth.login({ body: { email, password } })));
    }),
    ...urls.flatMap((url) => [ask(url, inShard, isOver, part.sameShard), ask(url, elsewhere, isOver, part.otherShard)]),
    repeat(LOOK_EVERY_MS, async () => {
      part.transactions = Math.max(part.transactions, await transactionsOfOneNode());
    }),
  ];
  await Promise.all([...flooding, ...others]);
  return part;
}

/** Runs one connection of the flood, with one change under way at any time. Half of the connections go to each node. */
async function send(flood: Flood, index: number, isOver: () => boolean, measured: Measured): Promise<void> {
  const connection = await openConnection(urls[index % 2]!);
  for (let n = 0; !isOver(); n++) {
    await measured.time(() => new Promise((resolve) => connection.ask(flood(index, n), resolve)));
  }
  connection.end();
}

async function ask(url: string, { token }: Key, isOver: () => boolean, measured: Measured): Promise<void> {
  const connection = await openConnection(url);
  const request = requestOf(url, { path: '/authz?scope=triggers:read', headers: { 'x-api-key': token } });
  while (!isOver()) {
    await measured.time(() => new Promise((resolve) => connection.ask(request, resolve)));
    await sleep(ASK_EVERY_MS);
  }
  connection.end();
}

/** Half of the transactions of both nodes, because both have the same work. */
async function transactionsOfOneNode(): Promise<number> {
  const { rows } = await deployment.sql.query<{ open: number }>(
    `SELECT count(*)::int AS open FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'keyledger_api transactions' AND state <> 'idle'`,
  );
  return Math.ceil(rows[0]!.open / 2);
}

function print(title: string, part: Part): void {
  const { revocations, suspensions, signIns, sameShard, otherShard, flood, transactions } = part;
  const lines = [
    `${title}, ${SECONDS} s: at most ${transactions} transactions of a node at once`,
    `  revocation by another member   ${revocations.figures}`,
    `  suspension by an operator      ${suspensions.figures}`,
    `  sign-in to another account     ${signIns.figures}`,
    `  /authz in the same shard       ${sameShard.figures}`,
    `  /authz in another shard        ${otherShard.figures}`,
    ...(flood.times.length > 0 ? [`  the flood itself               ${flood.figures}`] : []),
  ];
  console.info(lines.join('\n'));
}

describe('while one tenant floods both nodes with changes', () => {
  beforeAll(async () => {
    if (!IS_MEASURED) return;
    // Warms up the nodes, because code is slow when it first runs.
    await measure(floods['key updates'], Math.min(SECONDS, 2));
    print('Without a flood', await measure());
  });

  it.each(Object.keys(floods))(
    '(%s) revocations, suspensions, sign-ins and verifications of others do not wait for the flood to end',
    async (name) => {
      const part = await measure(floods[name]);
      print(`Under a flood of ${name}`, part);
      for (const what of ['revocations', 'suspensions', 'signIns', 'sameShard', 'otherShard'] as const) {
        expect([...part[what].statuses.keys()]).toEqual([what.endsWith('Shard') ? 200 : 'done']);
        expect(part[what].mostChangesBefore).toBeLessThan(MOST_CHANGES_BEFORE);
      }
      expect(part.transactions).toBeLessThanOrEqual(MOST_TRANSACTIONS);
      expect(part.flood.times.length).toBeGreaterThanOrEqual(FLOOD_CHANGES);
      expect(deployment.failures).toEqual([]);
    },
    (SECONDS + 60) * 1_000,
  );
});
