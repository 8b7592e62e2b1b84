import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type pg from 'pg';
import { fromUuid } from '#libs/contract/ids.js';
import { DATABASE_POOL, inTransaction } from '#libs/database/database.js';
import { errorText } from '#libs/platform/error-text.js';
import { DomainError } from '#libs/platform/errors.js';
import { Gauges, unlessAway } from '#libs/platform/metrics.js';
import { consistencyProof, type Tree } from '#libs/tlog/proofs.js';
import { Anchoring } from './anchoring.js';
import { Checkpoints } from './checkpoints.js';
import { lockEpoch, readEpochs } from './epochs.js';
import { HeadsLog, type NamedEpoch } from './heads-log.js';
import { askWitness, NotCosigned, type ToCosign } from './witness-client.js';
import { WitnessStates, type WitnessState } from './witness-states.js';
import { Witnesses, type Witness } from './witnesses.js';

/**
 * Appends the heads of audit logs that have grown to the log of heads, and asks the witnesses to cosign it, once in each
 * interval. Nothing else waits for a witness: neither events nor checkpoints. A crash loses at most the cosignatures of
 * one round.
 */
@Injectable()
export class Witnessing implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #logger = new Logger(Witnessing.name);
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<unknown> = Promise.resolve();
  readonly #stop = new AbortController();
  /** The faults that were logged, of the log of heads itself and of each witness. */
  #reported: ReadonlyMap<string, string> = new Map();

  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly anchoring: Anchoring,
    private readonly checkpoints: Checkpoints,
    private readonly heads: HeadsLog,
    private readonly witnesses: Witnesses,
    private readonly states: WitnessStates,
    gauges: Gauges,
  ) {
    if (witnesses.all.length > 0) this.#measure(gauges);
  }

  onApplicationBootstrap(): void {
    if (this.witnesses.all.length > 0) this.#schedule();
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    await this.#running;
  }

  #schedule(): void {
    if (this.#stop.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#round().then(() => this.#schedule());
    }, this.witnesses.intervalMs).unref();
  }

  async #round(): Promise<void> {
    const faults = new Map<string, string>();
    try {
      if (!(await this.#grow())) return;
      for (const [vkey, fault] of await this.#cosign()) faults.set(vkey, fault);
    } catch (error) {
      faults.set('', `The witnesses were not asked: ${errorText(error)}`);
    }
    for (const [vkey, fault] of faults) if (this.#reported.get(vkey) !== fault) this.#logger.error(fault);
    this.#reported = faults;
  }

  /**
   * Appends the heads that have changed.
   * @returns whether it is the turn of this node
   * @throws DomainError if nothing may be signed
   */
  async #grow(): Promise<boolean> {
    const { epoch } = await this.checkpoints.signHeads();
    if (!(await this.states.takeTurn(epoch, this.witnesses.intervalMs))) return false;
    const heads = new Map<string, Tree>();
    const anchor = async (id: string) => {
      try {
        const { epoch: present, tree } = await this.anchoring.anchor(fromUuid('org', id));
        if (present.number === epoch.number) heads.set(id, tree);
      } catch (error) {
        // A log that may not be signed is left out. Its own checkpoint says why.
        if (!(error instanceof DomainError)) throw error;
      }
    };
    await Promise.all((await this.heads.changed(epoch)).map(anchor));
    if (heads.size === 0) return true;
    await inTransaction(this.pool, async (client) => {
      const present = await lockEpoch(client);
      if (present?.number === epoch.number) await this.heads.append(client, epoch, heads);
    });
    return true;
  }

  /** @returns what is wrong with each witness that did not cosign */
  async #cosign(): Promise<Map<string, string>> {
    const { note, checkpoint, epoch } = await this.checkpoints.signHeads();
    const faults = new Map<string, string>();
    const { size } = checkpoint;
    if (size === 0) return faults;
    const nodes = this.heads.nodes(epoch);
    const toCosign = {
      note,
      size,
      proofFrom: (from: number) => consistencyProof(from, size, nodes),
      stop: this.#stop.signal,
    };
    const known = await this.states.read(epoch);
    await Promise.all(
      this.witnesses.all.map(async (witness) => {
        const fault = await this.#ask(witness, toCosign, epoch, known.get(witness.vkey)?.size ?? 0);
        if (fault) faults.set(witness.vkey, `The witness ${witness.key.name} ${fault}.`);
      }),
    );
    await this.#keep(note, size, epoch);
    return faults;
  }

  /** @returns why the witness did not cosign; null if it has */
  async #ask(witness: Witness, toCosign: ToCosign, epoch: NamedEpoch, known: number): Promise<string | null> {
    if (known === toCosign.size) return null;
    try {
      const cosignature = await askWitness(witness, toCosign, known);
      await this.states.succeeded(epoch, witness.vkey, toCosign.size, cosignature);
      return null;
    } catch (error) {
      if (!(error instanceof NotCosigned)) throw error;
      await this.states.failed(epoch, witness.vkey, error.message);
      return error.message;
    }
  }

  /** Keeps the checkpoint if enough witnesses cosigned this tree, in this round or in earlier ones. */
  async #keep(note: string, size: number, epoch: NamedEpoch): Promise<void> {
    const states = await this.states.read(epoch);
    const lines = this.witnesses.all
      .map(({ vkey }) => states.get(vkey))
      .flatMap((state) => (state?.size === size && state.cosignature ? [`${state.cosignature}\n`] : []));
    if (lines.length < this.witnesses.policy.quorum) return;
    await this.states.saveCosigned(epoch, note + lines.join(''), size);
  }

  #measure(gauges: Gauges): void {
    const measure = (name: string, help: string, valueOf: (state: WitnessState | undefined) => number) =>
      gauges.add(name, help, ['witness'], async (set) => {
        const states = await unlessAway(this.#states(), null);
        for (const { key, vkey } of this.witnesses.all) {
          set({ witness: key.name }, states ? valueOf(states.get(vkey)) : NaN);
        }
      });
    measure('keyledger_witness_failing', 'Whether the witness did not cosign when it was last asked', (state) =>
      state?.failure ? 1 : 0,
    );
    measure('keyledger_witness_cosigned_timestamp_seconds', 'Time of the last cosignature of the witness', (state) =>
      state?.cosignedAt ? state.cosignedAt.getTime() / 1000 : 0,
    );
  }

  async #states(): Promise<ReadonlyMap<string, WitnessState>> {
    const [epoch] = await readEpochs(this.pool);
    return epoch ? this.states.read(epoch) : new Map();
  }
}
