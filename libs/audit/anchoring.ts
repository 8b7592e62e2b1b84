import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import pLimit from 'p-limit';
import type pg from 'pg';
import { toUuid } from '#libs/contract/ids.js';
import { DATABASE_POOL, inTransaction } from '#libs/database/database.js';
import { Config } from '#libs/platform/config.js';
import { errorText } from '#libs/platform/error-text.js';
import { DomainError } from '#libs/platform/errors.js';
import { ProofError } from '#libs/tlog/proof-error.js';
import { consistencyProof, verifyConsistency, type Tree } from '#libs/tlog/proofs.js';
import {
  anchorFault,
  anchorPath,
  behindAnchor,
  checkpointUnavailable,
  epochEntryMissing,
  forkOfAnchor,
  unusableAnchor,
} from './anchor.js';
import { AnchorFile, type Anchor } from './anchor-file.js';
import { AuditTree, emptyLog, nodesBeside, type HeadOfLog } from './audit-tree.js';
import { keepForProofs } from './kept-for-proofs.js';
import { insertEpoch, isEpochEntryIn, lockEpoch, saveSequence, type Epoch } from './epochs.js';
import { HEADS_LOG, HeadsLog, type NamedEpoch } from './heads-log.js';

/** The tree of a log that is on the disk of the anchor, and the epoch in which it may be signed. */
export interface Anchored {
  readonly epoch: Epoch;
  readonly tree: Tree;
}

/** Logs of one commit, by the bare UUIDs of their organizations. A log that may not be signed has the error. */
type Outcomes = ReadonlyMap<string, Anchored | DomainError>;

/** How often the heads that have changed are anchored. */
const INTERVAL_MS = 1_000;
/** Looking for changed heads takes at most this share of the time. */
const SHARE = 1 / 20;
/** Heads that one commit anchors. The others follow. */
const MOST_HEADS = 1_000;
/** Logs whose proofs are read at once. */
const PROOFS_AT_ONCE = 3;

/**
 * Writes the heads of the logs to the anchor: those that are to be signed before they are signed, and all others once a
 * second. A head is anchored only if it continues the anchored one. So neither a restored backup, nor a failover to a
 * server that lags, nor a lost volume makes us sign a fork. One commit takes all heads that wait.
 */
@Injectable()
export class Anchoring implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #logger = new Logger(Anchoring.name);
  readonly #file: AnchorFile;
  readonly #path: string;
  /** Where the file is by default. */
  readonly #dataDirectory: string | null;
  #waiting: { readonly organizations: Set<string>; readonly outcomes: Promise<Outcomes> } | undefined;
  #running: Promise<unknown> = Promise.resolve();
  /** How long the last look for changed heads took. */
  #lookedMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  #reported = '';

  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly tree: AuditTree,
    private readonly heads: HeadsLog,
    config: Config,
  ) {
    this.#path = anchorPath(config);
    const { ANCHOR_FILE, DATA_DIR } = config.settings;
    this.#dataDirectory = ANCHOR_FILE ? null : DATA_DIR;
    this.#file = new AnchorFile(this.#path);
  }

  onApplicationBootstrap(): void {
    this.#schedule(INTERVAL_MS);
  }

  async onApplicationShutdown(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#running.catch(() => undefined);
  }

  /**
   * Anchors the present head of a log, in the next commit.
   * @throws DomainError `checkpoint_unavailable`
   */
  anchor(organizationId: string): Promise<Anchored> {
    return this.#anchor(toUuid(organizationId));
  }

  /** The same for the log of heads. */
  anchorHeads(): Promise<Anchored> {
    return this.#anchor(HEADS_LOG);
  }

  async #anchor(id: string): Promise<Anchored> {
    const organizations = (this.#waiting ??= this.#next()).organizations;
    organizations.add(id);
    const outcome = (await this.#waiting.outcomes).get(id)!;
    if (outcome instanceof DomainError) throw outcome;
    return outcome;
  }

  /** The commit after the running one. */
  #next() {
    const organizations = new Set<string>();
    const outcomes = this.#running.then(async () => {
      this.#waiting = undefined;
      return this.#commit(organizations);
    });
    this.#running = outcomes.catch(() => undefined);
    return { organizations, outcomes };
  }

  #schedule(ms: number): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => void this.#sweep(), ms).unref();
  }

  async #sweep(): Promise<void> {
    try {
      const { rows } = await this.pool.query('SELECT FROM audit_epoch LIMIT 1');
      // Nothing is anchored before the first checkpoint.
      if (rows.length > 0) await (this.#waiting ??= this.#next()).outcomes;
      this.#reported = '';
    } catch (error) {
      this.#report(errorText(error));
    }
    this.#schedule(Math.max(INTERVAL_MS, this.#lookedMs / SHARE));
  }

  /** Once for each fault. */
  #report(fault: string): void {
    if (fault !== this.#reported) this.#logger.error(`No audit log can be anchored: ${fault}`);
    this.#reported = fault;
  }

  async #commit(organizations: ReadonlySet<string>): Promise<Outcomes> {
    const outcomes = await inTransaction(this.pool, async (client) => {
      const opened = await this.#openAnchor(client);
      if (!opened) return null;
      const { epoch, anchor } = opened;
      if (anchor.sequence === epoch.sequence) return this.#anchorHeads(client, epoch, anchor, organizations);
      // A crash left the file one group ahead. Count it first: the next crash may leave it one further.
      await keepForProofs(client, new Map(), anchor.heads);
      await saveSequence(client, epoch, anchor.sequence);
      return null;
    });
    return outcomes ?? this.#commit(organizations);
  }

  async #anchorHeads(
    client: pg.PoolClient,
    epoch: Epoch,
    anchor: Anchor,
    organizations: ReadonlySet<string>,
  ): Promise<Outcomes> {
    const heads = [...(await this.#heads(client, anchor, organizations)), await this.heads.head(client, epoch)];
    const outcomes = new Map<string, Anchored | DomainError>();
    const changed = new Map<string, Tree>();
    const atOnce = pLimit(PROOFS_AT_ONCE);
    const check = async (head: HeadOfLog) => {
      const { organizationId, tree } = head;
      const fault = await this.#faultOf(client, epoch, anchor, head);
      outcomes.set(organizationId, fault ? checkpointUnavailable(fault) : { epoch, tree });
      if (!fault && tree.size > (anchor.heads.get(organizationId)?.size ?? 0)) changed.set(organizationId, tree);
    };
    await Promise.all(heads.map((head) => atOnce(() => check(head))));
    const signed = [...outcomes].flatMap(([id, outcome]) =>
      organizations.has(id) && !(outcome instanceof DomainError) ? [[id, outcome.tree] as const] : [],
    );
    await keepForProofs(client, new Map(signed), changed);
    if (changed.size > 0) {
      await this.#onFile(() => this.#file.append(changed));
      await saveSequence(client, epoch, anchor.sequence + 1);
    }
    return outcomes;
  }

  /**
   * Locks the anchor for this transaction, and compares it with the database.
   * @returns null if it has begun the first epoch, which must be committed before the file has a head: after a crash, a
   *   file with heads beside a database without an epoch looks as if the database was restored
   */
  async #openAnchor(client: pg.PoolClient): Promise<{ epoch: Epoch; anchor: Anchor } | null> {
    const epoch = await lockEpoch(client);
    const anchor = await this.#onFile(() => this.#file.read());
    const fault = anchorFault(epoch, anchor, this.#path);
    if (fault) throw checkpointUnavailable(fault);
    if (epoch) return { epoch, anchor: anchor! };
    const id = randomBytes(16).toString('hex');
    // A crash before the commit leaves an anchor without heads, which the next attempt replaces.
    const fresh = { id, epoch: 1, sequence: 0, heads: new Map(), earlier: new Map() };
    await this.#onFile(async () => {
      // The folder of ANCHOR_FILE is not created: if it is missing, a volume may not be mounted.
      if (this.#dataDirectory) await mkdir(this.#dataDirectory, { recursive: true, mode: 0o700 });
      await this.#file.create(fresh);
    });
    await insertEpoch(client, fresh.epoch, id);
    return null;
  }

  async #onFile<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw checkpointUnavailable(unusableAnchor(this.#path, code ?? errorText(error)), error);
    }
  }

  /** The heads that are asked for, and others that have changed. */
  async #heads(client: pg.PoolClient, anchor: Anchor, organizations: ReadonlySet<string>): Promise<HeadOfLog[]> {
    const heads = await this.tree.heads(client, [...organizations]);
    const found = new Set(heads.map(({ organizationId }) => organizationId));
    const empty = [...organizations].filter((id) => !found.has(id) && id !== HEADS_LOG).map(emptyLog);
    const began = performance.now();
    const { rows } = await client.query<{ id: string; size: number }>(
      'SELECT organization_id AS id, size::float8 AS size FROM audit_log WHERE size > 0',
    );
    this.#lookedMs = performance.now() - began;
    const changed = rows
      .filter(({ id, size }) => !organizations.has(id) && anchor.heads.get(id)?.size !== size)
      .slice(0, MOST_HEADS)
      .map(({ id }) => id);
    return [...heads, ...empty, ...(changed.length > 0 ? await this.tree.heads(client, changed) : [])];
  }

  /** Why a log may not be anchored with this head; null if it may. */
  async #faultOf(client: pg.PoolClient, epoch: Epoch, anchor: Anchor, head: HeadOfLog): Promise<string | null> {
    const { organizationId, tree } = head;
    const anchored = anchor.heads.get(organizationId);
    if (anchored) return this.#inconsistency(epoch, anchored, head);
    // In a later epoch, a log that was anchored before must first have the entry that says so.
    const isReady =
      !anchor.earlier.has(organizationId) || (await isEpochEntryIn(client, organizationId, epoch.number, tree.size));
    return isReady ? null : epochEntryMissing(epoch.number);
  }

  async #inconsistency(epoch: Epoch, anchored: Tree, head: HeadOfLog): Promise<string | null> {
    const { organizationId, tree, frontier } = head;
    if (tree.size < anchored.size) return behindAnchor(anchored, tree.size);
    try {
      // What the head knows of the anchored part need not be read: the anchored root confirms it.
      const trusted = { size: tree.size, frontier, trusted: anchored.size };
      const read =
        organizationId === HEADS_LOG
          ? nodesBeside(trusted, this.heads.nodes(epoch as NamedEpoch))
          : this.tree.nodesBeside(organizationId, trusted);
      verifyConsistency(anchored, tree, await consistencyProof(anchored.size, tree.size, read));
      return null;
    } catch (error) {
      if (error instanceof ProofError) return forkOfAnchor(anchored);
      if (error instanceof DomainError) return error.message;
      throw error;
    }
  }
}
