import { randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { DATABASE_POOL } from '#libs/database/database.js';
import { Config } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';
import { Sealing } from '#libs/platform/sealing.js';
import { signCheckpoint, type Checkpoint } from '#libs/tlog/checkpoint.js';
import { formatVkey } from '#libs/tlog/note.js';
import { inclusionProof } from '#libs/tlog/proofs.js';
import { formatReceipt } from '#libs/tlog/receipt.js';
import { Anchoring } from './anchoring.js';
import { AuditTree } from './audit-tree.js';
import { eraseEndedKeys, fixSigner, readEpochs, type Epoch } from './epochs.js';
import { generateSigningKey, keyOf, openSigner, signingNow } from './signing-keys.js';

const DEPLOYMENT_ID_BYTES = 8;

/** An epoch that can sign. */
type Signing = Epoch & { readonly origin: string };

/**
 * Signs checkpoints when they are asked for. The origin of an epoch and its first key are fixed at its first signature, so
 * a trial on localhost fixes nothing that stays.
 */
@Injectable()
export class Checkpoints {
  constructor(
    private readonly anchoring: Anchoring,
    private readonly tree: AuditTree,
    private readonly sealing: Sealing,
    private readonly config: Config,
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
  ) {}

  /** The signed note, and what it says. @throws DomainError `checkpoint_unavailable` */
  async sign(organizationId: string): Promise<{ readonly note: string; readonly checkpoint: Checkpoint }> {
    // Throws if the head does not continue what was signed before.
    const { epoch, tree } = await this.anchoring.anchor(organizationId);
    const signing = isSigning(epoch) ? epoch : await this.#fix(epoch);
    if (signing.keys.some(({ hasEnded, privateKey }) => hasEnded && privateKey)) await eraseEndedKeys(this.pool);
    const checkpoint = { origin: originOf(signing, organizationId), ...tree };
    const signers = signingNow(signing.keys).map((key) => openSigner(this.sealing, key)(checkpoint.origin));
    return { note: signCheckpoint(checkpoint, signers), checkpoint };
  }

  /** The public keys of a log whose signatures count, newest first. */
  async vkeys(organizationId: string): Promise<string[]> {
    let epochs = await readEpochs(this.pool);
    if (!epochs[0] || !isSigning(epochs[0])) {
      await this.sign(organizationId);
      epochs = await readEpochs(this.pool);
    }
    return epochs.filter(isSigning).flatMap((epoch) => {
      const keys = epoch.keys.filter(({ isCompromised }) => !isCompromised);
      return keys.map((key) => formatVkey(keyOf(key, originOf(epoch, organizationId))));
    });
  }

  /** Everything that proves one entry, to keep. */
  async receipt(organizationId: string, index: number): Promise<string> {
    const { note, checkpoint } = await this.sign(organizationId);
    if (index >= checkpoint.size) {
      throw new DomainError(
        'not_found',
        `The audit log of ${checkpoint.size} events has none with the leaf index ${index}`,
      );
    }
    const [entry] = await this.tree.entries(organizationId, { from: index, below: index + 1 });
    const proof = await inclusionProof(index, checkpoint.size, this.tree.nodes(organizationId));
    return formatReceipt({ entry: entry!, index, proof, checkpoint: note });
  }

  async #fix(epoch: Epoch): Promise<Signing> {
    const { LOG_ORIGIN } = this.config.settings;
    const name = LOG_ORIGIN ?? new URL(this.config.publicUrl).host;
    const origin = `${name}/${randomBytes(DEPLOYMENT_ID_BYTES).toString('hex')}`;
    return (await fixSigner(this.pool, epoch, origin, generateSigningKey(this.sealing))) as Signing;
  }
}

function isSigning(epoch: Epoch): epoch is Signing {
  return epoch.origin !== null;
}

function originOf({ origin }: Signing, organizationId: string): string {
  return `${origin}/${organizationId}`;
}
