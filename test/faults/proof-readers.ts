import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, createClient, type Client } from '#libs/client/client.js';
import { openCheckpoint, type Checkpoint } from '#libs/tlog/checkpoint.js';
import { parseVkey, type VerifierKey } from '#libs/tlog/note.js';
import { verifyConsistency, verifyInclusion } from '#libs/tlog/proofs.js';
import { verifyReceipt } from '#libs/tlog/receipt.js';
import type { Customer } from './ledger.js';

const PAUSE_MS = 40;

/** What the readers of audit logs have seen. */
export interface Readings {
  /** Proofs that are wrong, and responses that an outage does not explain. */
  readonly wrong: readonly string[];
  readonly checkpoints: number;
  readonly proofs: number;
  /** Calls without a response, or with a 5xx. */
  readonly lost: number;
}

/**
 * Reads the log of each customer from all nodes until stopped, and verifies every proof: each checkpoint continues the
 * last one, and each leaf stays what it was.
 */
export function startReaders(
  urls: readonly string[],
  customers: readonly Customer[],
  random: () => number,
): { readonly readings: Readings; stop(): Promise<void> } {
  const stopping = new AbortController();
  const readings = { wrong: [] as string[], checkpoints: 0, proofs: 0, lost: 0 };
  const read = async (customer: Customer) => {
    const reader = new Reader(urls, customer, random);
    while (!stopping.signal.aborted) {
      try {
        await reader.checkpoint();
        readings.checkpoints += 1;
        await reader.leaf();
        readings.proofs += 2;
      } catch (error) {
        if (isOutage(error)) readings.lost += 1;
        else readings.wrong.push(String(error));
      }
      await sleep(PAUSE_MS);
    }
  };
  const running = Promise.all(customers.map(read));
  return {
    readings,
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

/**
 * A response with a 5xx, none at all, or the request to come again. But no crash is a reason not to sign: only a damaged
 * or restored log is.
 */
function isOutage(error: unknown): boolean {
  if (error instanceof ApiError) {
    const { status, code } = error.problem;
    return (status >= 500 || status === 429) && code !== 'checkpoint_unavailable';
  }
  // The errors of `fetch` come from outside of the test, which has a TypeError of its own.
  return (error as Error).name === 'TypeError';
}

class Reader {
  readonly #clients: readonly Client[];
  readonly #leaves = new Map<number, string>();
  #keys: readonly VerifierKey[] | undefined;
  #last: Checkpoint | undefined;

  constructor(
    urls: readonly string[],
    private readonly customer: Customer,
    private readonly random: () => number,
  ) {
    this.#clients = urls.map((baseUrl) => createClient({ baseUrl, accessToken: customer.accessToken }));
  }

  /** Any node. */
  get #client(): Client {
    return this.#clients[Math.floor(this.random() * this.#clients.length)]!;
  }

  async checkpoint(): Promise<void> {
    const params = { id: this.customer.organizationId };
    const note = await (await this.#client.audit.checkpoint({ params })).text();
    this.#keys ??= [parseVkey((await (await this.#client.audit.vkeys({ params })).text()).trim())];
    const checkpoint = openCheckpoint(note, this.#keys);
    if (this.#last) {
      const query = { organization_id: params.id, from: this.#last.size, to: checkpoint.size };
      const { proof } = await this.#client.audit.proveConsistency({ query });
      verifyConsistency(this.#last, checkpoint, proof.map(bytes));
    }
    this.#last = checkpoint;
  }

  /** Any leaf, by an inclusion proof and by a receipt. */
  async leaf(): Promise<void> {
    const tree = this.#last!;
    if (tree.size === 0) return;
    const index = Math.floor(this.random() * tree.size);
    const query = { organization_id: this.customer.organizationId };
    const params = { leaf_index: index };
    const proven = await this.#client.audit.proveEvent({ params, query: { ...query, size: tree.size } });
    verifyInclusion({ index, hash: bytes(proven.leaf_hash) }, tree, proven.proof.map(bytes));
    const known = this.#leaves.get(index) ?? proven.leaf_hash;
    if (known !== proven.leaf_hash) throw new Error(`Leaf ${index} was ${known}, and is ${proven.leaf_hash}`);
    this.#leaves.set(index, known);
    const receipt = verifyReceipt(await (await this.#client.audit.receipt({ params, query })).text(), this.#keys!);
    if (receipt.checkpoint.size < tree.size) throw new Error('The receipt has an earlier checkpoint than the last one');
  }
}

function bytes(base64: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64, 'base64'));
}
