import { randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { DATABASE_POOL } from '#libs/database/database.js';
import { Config } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';
import { Sealing } from '#libs/platform/sealing.js';
import { areEqual } from '#libs/tlog/bytes.js';
import { signCheckpoint, type Checkpoint } from '#libs/tlog/checkpoint.js';
import { formatVkey } from '#libs/tlog/note.js';
import { inclusionProof, type Tree } from '#libs/tlog/proofs.js';
import { formatReceipt } from '#libs/tlog/receipt.js';
import { Anchoring } from './anchoring.js';
import { AuditTree } from './audit-tree.js';
import { pruned } from './damage.js';
import { eraseEndedKeys, fixSigner, readEpochs, type Epoch } from './epochs.js';
import { isNamed, type NamedEpoch } from './heads-log.js';
import { generateSigningKey, keyOf, openSigner, signingNow, type SignerFor } from './signing-keys.js';

const DEPLOYMENT_ID_BYTES = 8;

/** The end of the origin of the log of heads, as `headsOrigin` of tlog has it. */
const HEADS = 'heads';

interface Signed {
  /** The signed note. */
  readonly note: string;
  readonly checkpoint: Checkpoint;
  readonly epoch: NamedEpoch;
}

/**
 * Signs checkpoints when they are asked for. The origin of an epoch and its first key are fixed at its first signature, so
 * a trial on localhost fixes nothing that stays.
 */
@Injectable()
export class Checkpoints {
  /** The keys of the last signature, because opening a key takes longer than signing. */
  #opened: readonly { readonly sealed: Uint8Array; readonly signerFor: SignerFor }[] = [];

  constructor(
    private readonly anchoring: Anchoring,
    private readonly tree: AuditTree,
    private readonly sealing: Sealing,
    private readonly config: Config,
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
  ) {}

  /** The signed note, and what it says. @throws DomainError `checkpoint_unavailable` */
  async sign(organizationId: string): Promise<Signed> {
    // Throws if the head does not continue what was signed before.
    const { epoch, tree } = await this.anchoring.anchor(organizationId);
    return this.#sign(await this.#named(epoch), organizationId, tree);
  }

  /** A checkpoint of a tree that the present one continues. */
  async signEarlier(organizationId: string, tree: Tree): Promise<Signed> {
    const { epoch } = await this.anchoring.anchor(organizationId);
    return this.#sign(await this.#named(epoch), organizationId, tree);
  }

  /** The same for the log of heads. */
  async signHeads(): Promise<Signed> {
    const { epoch, tree } = await this.anchoring.anchorHeads();
    return this.#sign(await this.#named(epoch), HEADS, tree);
  }

  /** The public keys of a log whose signatures count, newest first. */
  async vkeys(organizationId: string): Promise<string[]> {
    let epochs = await readEpochs(this.pool);
    if (!epochs[0] || !isNamed(epochs[0])) {
      await this.sign(organizationId);
      epochs = await readEpochs(this.pool);
    }
    return epochs.filter(isNamed).flatMap((epoch) => vkeysOf(epoch, organizationId));
  }

  /** Everything that proves one entry, to keep. */
  async receipt(organizationId: string, index: number): Promise<string> {
    const signed = await this.sign(organizationId);
    const { checkpoint } = signed;
    if (index >= checkpoint.size) {
      throw new DomainError(
        'not_found',
        `The audit log of ${checkpoint.size} events has none with the leaf index ${index}`,
      );
    }
    return this.receiptFrom(organizationId, index, signed);
  }

  /** @param index of an entry that the checkpoint covers */
  async receiptFrom(organizationId: string, index: number, { note, checkpoint }: Signed): Promise<string> {
    const head = await this.tree.head(organizationId);
    if (index < head.minimum) throw pruned(organizationId, head.minimum);
    const [entry] = await this.tree.entries(organizationId, { from: index, below: index + 1 });
    const proof = await inclusionProof(index, checkpoint.size, this.tree.nodes(organizationId, head));
    return formatReceipt({ entry: entry!, index, proof, checkpoint: note });
  }

  /** Fixes the origin and the first key of the epoch if this is its first signature. */
  async #named(epoch: Epoch): Promise<NamedEpoch> {
    if (isNamed(epoch)) return epoch;
    const { LOG_ORIGIN } = this.config.settings;
    const name = LOG_ORIGIN ?? new URL(this.config.publicUrl).host;
    const origin = `${name}/${randomBytes(DEPLOYMENT_ID_BYTES).toString('hex')}`;
    return (await fixSigner(this.pool, epoch, origin, generateSigningKey(this.sealing))) as NamedEpoch;
  }

  /** @param log the end of the origin */
  async #sign(epoch: NamedEpoch, log: string, tree: Tree): Promise<Signed> {
    if (epoch.keys.some(({ hasEnded, privateKey }) => hasEnded && privateKey)) await eraseEndedKeys(this.pool);
    const checkpoint = { origin: `${epoch.origin}/${log}`, size: tree.size, root: tree.root };
    const opened = signingNow(epoch.keys).map((key) => {
      const sealed = key.privateKey!;
      const known = this.#opened.find((one) => areEqual(one.sealed, sealed));
      return known ?? { sealed, signerFor: openSigner(this.sealing, key) };
    });
    this.#opened = opened;
    const signers = opened.map(({ signerFor }) => signerFor(checkpoint.origin));
    return { note: signCheckpoint(checkpoint, signers), checkpoint, epoch };
  }
}

/** @param log the end of the origin */
export function vkeysOf({ origin, keys }: NamedEpoch, log = HEADS): string[] {
  return keys.filter(({ isCompromised }) => !isCompromised).map((key) => formatVkey(keyOf(key, `${origin}/${log}`)));
}
