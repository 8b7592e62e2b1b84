import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pLimit from 'p-limit';
import pg from 'pg';
import { startPostgres } from '../support/built.ts';
import { copyKeys, Customer, SCOPES, useOnce, type Key } from './keys.ts';
import { parentOf } from './proc.ts';
import { Processes, REST_CORE, said, SERVER_CORE } from './processes.ts';
import { AuditLog } from './audit-log.ts';

const ORGANIZATIONS = 50;
const KEYS_EACH = 20;
const MAKING_AT_ONCE = 4;
/** Of one user. */
const MOST_ORGANIZATIONS = 1_000;

interface DeploymentOptions {
  /** The folder into which the API and the worker write a profile of their CPU time when they stop. */
  readonly profiles?: string;
  /** Of PostgreSQL. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** The measured deployment, as users run it: PostgreSQL, API, worker, and a thousand keys in fifty organizations. */
export class Deployment {
  readonly #secret = randomUUID() + randomUUID();
  readonly processes: Processes;
  readonly databaseUrl: string;
  /** Connected as the superuser. */
  readonly sql: pg.Client;
  readonly auditLog: AuditLog;
  readonly close: () => Promise<void>;
  /** Where the anchor of the audit logs is. */
  readonly #directory: string;
  readonly #profiles: string | undefined;
  /** The processes that do the work for a recorded use. */
  processIds: Readonly<Record<string, number>> = {};
  readonly customers: { readonly customer: Customer; readonly keys: readonly Key[] }[] = [];
  #api: { child: ChildProcess; url: string } | undefined;
  #worker: ChildProcess | undefined;

  private constructor(
    processes: Processes,
    databaseUrl: string,
    sql: pg.Client,
    directory: string,
    profiles: string | undefined,
    close: () => Promise<void>,
  ) {
    this.processes = processes;
    this.#directory = directory;
    this.#profiles = profiles;
    this.databaseUrl = databaseUrl;
    this.sql = sql;
    this.close = close;
    this.auditLog = new AuditLog(sql);
  }

  static async open({ profiles, settings }: DeploymentOptions = {}): Promise<Deployment> {
    const processes = new Processes();
    const directory = await mkdtemp(join(tmpdir(), 'keyledger-bench-'));
    // If the user is root, PostgreSQL runs as another user, who must be able to reach its data.
    await chmod(directory, 0o711);
    const postgres = await startPostgres(directory, settings);
    const sql = new pg.Client({ connectionString: postgres.databaseUrl });
    await sql.connect();
    await writeLogAround(sql);
    return new Deployment(processes, postgres.databaseUrl, sql, directory, profiles, async () => {
      processes.killAll();
      await sql.end();
      await postgres.stop();
      await rm(directory, { recursive: true, force: true });
    });
  }

  async start(): Promise<void> {
    [this.#api] = await Promise.all([this.startApi(), this.#startWorker()]);
    const postgresql = await this.postgresPid();
    this.processIds = { API: this.apiPid, worker: this.workerPid, ...(postgresql && { PostgreSQL: postgresql }) };
    const limit = pLimit(MAKING_AT_ONCE);
    const make = async () => {
      const customer = new Customer(this.url);
      await customer.register();
      return { customer, first: await customer.makeKey() };
    };
    for (const { customer, first } of await Promise.all(Array.from({ length: ORGANIZATIONS }, () => limit(make)))) {
      this.customers.push({ customer, keys: await this.#withCopies(first, KEYS_EACH) });
    }
    await Promise.all(this.keys.map(({ token }) => limit(() => useOnce(this.url, token))));
    await this.auditLog.emptied();
  }

  /** What the embedded PostgreSQL has written to its log. */
  postgresLog(): Promise<string> {
    return readFile(join(this.#directory, 'postgres', 'postgres.log'), 'utf8');
  }

  /** Stops the API and the worker. */
  async stop(): Promise<void> {
    await this.processes.stop(this.#api!.child);
    await this.processes.stop(this.#worker!);
  }

  get url(): string {
    return this.#api!.url;
  }

  get apiPid(): number {
    return this.#api!.child.pid!;
  }

  get workerPid(): number {
    return this.#worker!.pid!;
  }

  /** The main process of PostgreSQL, unless it runs elsewhere or is hidden. */
  async postgresPid(): Promise<number | undefined> {
    const { rows } = await this.sql.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const parent = parentOf(rows[0]!.pid);
    return parent && parent > 1 ? parent : undefined;
  }

  /** The keys in rotation: keys of one organization do not follow each other. */
  get keys(): Key[] {
    return Array.from({ length: KEYS_EACH }, (_, index) => this.customers.map(({ keys }) => keys[index]!)).flat();
  }

  /** The keys in rotation, each with a key of its organization that may verify it. */
  async verifiers(scope: string): Promise<{ verifier: Key; key: Key }[]> {
    const verifiers = new Map<Key, Key>();
    for (const { customer, keys } of this.customers) {
      const verifier = await customer.makeKey(['api-keys:verify', scope]);
      for (const key of keys) verifiers.set(key, verifier);
    }
    return this.keys.map((key) => ({ verifier: verifiers.get(key)!, key }));
  }

  /** Creates valid keys of the same organization. */
  copyKeys(like: Key, amount: number): Promise<Key[]> {
    return copyKeys(this.sql, like, amount, this.#secret);
  }

  /** Creates an organization with keys of its own. */
  async addCustomer(keys: number): Promise<{ readonly customer: Customer; readonly keys: readonly Key[] }> {
    const customer = new Customer(this.url);
    await customer.register();
    return { customer, keys: await this.#withCopies(await customer.makeKey(), keys) };
  }

  async #withCopies(key: Key, amount: number): Promise<Key[]> {
    return [key, ...(await this.copyKeys(key, amount - 1))];
  }

  /** Creates a user with many organizations, each with keys of its own. */
  async addOrganizations(
    amount: number,
    keysEach: number,
  ): Promise<{ readonly customer: Customer; readonly organizations: readonly (readonly Key[])[] }> {
    const customer = new Customer(this.url);
    await customer.register();
    const limit = pLimit(MAKING_AT_ONCE);
    const make = async () => {
      const client = await customer.client();
      const { id } = await client.organizations.create({ body: { name: 'Measured' } });
      return customer.makeKey(SCOPES, id);
    };
    const organizations: Key[][] = [];
    for (const first of await Promise.all(Array.from({ length: amount }, () => limit(make)))) {
      organizations.push(await this.#withCopies(first, keysEach));
    }
    return { customer, organizations };
  }

  /** Starts another API on the same database. */
  async startApi(): Promise<{ child: ChildProcess; url: string }> {
    const env = {
      ...this.#env,
      PORT: '0',
      REGISTRATION: 'open',
      MAX_ORGANIZATIONS_PER_USER: String(MOST_ORGANIZATIONS),
      TRUST_PROXY: 'loopback',
    };
    const child = this.processes.start('../../dist/apps/api/main.js', env, SERVER_CORE);
    const { url } = await said<{ url: string }>(child);
    return { child, url };
  }

  pinWorker(core: string): void {
    this.processes.pin(this.#worker!, core);
  }

  /** Pauses the worker until {@link letWorkerGoOn}; it does not notice the pause. */
  holdWorker(): void {
    this.#worker!.kill('SIGSTOP');
  }

  letWorkerGoOn(): void {
    this.#worker!.kill('SIGCONT');
  }

  async #startWorker(): Promise<void> {
    this.#worker = this.processes.start('../../dist/apps/worker/main.js', this.#env, REST_CORE);
    await said(this.#worker);
  }

  get #env(): Record<string, string> {
    return {
      KEYLEDGER_SECRET: this.#secret,
      DATABASE_URL: this.databaseUrl,
      ANCHOR_FILE: join(this.#directory, 'anchor'),
      LOG_LEVEL: 'error',
      ...(this.#profiles && { NODE_OPTIONS: `--cpu-prof --cpu-prof-interval=250 --cpu-prof-dir=${this.#profiles}` }),
    };
  }
}

/**
 * Fills the write-ahead log once. A server that has been running reuses its log files; a new one must create each of
 * them, while all sessions wait, until a checkpoint has left enough of them.
 */
async function writeLogAround(sql: pg.Client): Promise<void> {
  const { rows } = await sql.query<{ megabytes: number }>(
    "SELECT setting::int AS megabytes FROM pg_settings WHERE name = 'max_wal_size'",
  );
  await sql.query("SELECT pg_logical_emit_message(false, 'bench', repeat('x', 1000000)) FROM generate_series(1, $1)", [
    rows[0]!.megabytes,
  ]);
  await sql.query('CHECKPOINT');
}
