import type pg from 'pg';
import { formatCheckpoint } from '#libs/tlog/checkpoint.js';
import { openCosignatures, parseWitnessVkey } from '#libs/tlog/cosignature.js';
import { openNote, parseNote, type VerifierKey } from '#libs/tlog/note.js';
import { ProofError } from '#libs/tlog/proof-error.js';
import { keyOf } from './signing-keys.js';

/** The log of heads of an epoch, and the checkpoint that enough witnesses cosigned. */
export interface CosignedLog {
  readonly epoch: number;
  /** Of the log of heads. */
  readonly origin: string;
  readonly cosigned: string | null;
  readonly cosigned_size: number;
}

interface StoredWitness {
  readonly vkey: string;
  readonly size: number;
  readonly cosignature: string | null;
  /** In seconds since 1970. */
  readonly time: number | null;
}

/** Verifies the signatures and cosignatures that are stored with a log of heads. */
export class CosignedCheck {
  /** At these sizes, it needs the root of the log. */
  readonly sizes: ReadonlySet<number>;

  private constructor(
    private readonly log: CosignedLog,
    private readonly keys: readonly VerifierKey[],
    private readonly witnesses: readonly StoredWitness[],
  ) {
    this.sizes = new Set([log.cosigned_size, ...witnesses.map(({ size }) => size)]);
  }

  static async open(client: pg.ClientBase, log: CosignedLog): Promise<CosignedCheck> {
    const { rows: keys } = await client.query<{ publicKey: Buffer }>(
      'SELECT public_key AS "publicKey" FROM audit_signing_key WHERE epoch = $1',
      [log.epoch],
    );
    const { rows: witnesses } = await client.query<StoredWitness>(
      `SELECT vkey, size::float8 AS size, cosignature, extract(epoch FROM cosigned_at)::float8 AS time
       FROM audit_witness WHERE epoch = $1 ORDER BY vkey`,
      [log.epoch],
    );
    return new CosignedCheck(
      log,
      keys.map((key) => keyOf(key, log.origin)),
      witnesses,
    );
  }

  /** @returns what does not belong to these roots, or null */
  difference(roots: ReadonlyMap<number, Uint8Array>): string | null {
    const wrong = this.witnesses.find((witness) => !isRight(() => this.#isCosigned(witness, roots)));
    if (wrong) return `the cosignature of ${wrong.vkey.split('+', 1)[0]!}`;
    return isRight(() => this.#isKept(roots)) ? null : 'the cosigned checkpoint';
  }

  #isCosigned({ vkey, size, cosignature, time }: StoredWitness, roots: ReadonlyMap<number, Uint8Array>): boolean {
    const key = parseWitnessVkey(vkey);
    if (size === 0) return cosignature === null && time === null;
    const cosignatures = openCosignatures(`${this.#textAt(size, roots)}\n${cosignature}\n`, [key]);
    return cosignatures.length === 1 && cosignatures[0]!.time === time;
  }

  #isKept(roots: ReadonlyMap<number, Uint8Array>): boolean {
    const { cosigned, cosigned_size: size } = this.log;
    if (cosigned === null) return size === 0;
    const { text, signedBy } = openNote(cosigned, this.keys);
    const witnesses = openCosignatures(
      cosigned,
      this.witnesses.map(({ vkey }) => parseWitnessVkey(vkey)),
    );
    // Each signature is one of a key that is stored.
    const isAll = parseNote(cosigned).signatures.length === signedBy.length + witnesses.length;
    return isAll && text === this.#textAt(size, roots);
  }

  #textAt(size: number, roots: ReadonlyMap<number, Uint8Array>): string {
    const root = roots.get(size);
    if (!root) throw new ProofError(`The log never had ${size} entries`);
    return formatCheckpoint({ origin: this.log.origin, size, root });
  }
}

function isRight(verify: () => boolean): boolean {
  try {
    return verify();
  } catch (error) {
    if (!(error instanceof ProofError)) throw error;
    return false;
  }
}
