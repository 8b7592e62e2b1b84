import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { DATABASE_POOL } from '#libs/database/database.js';
import { Config } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';
import { Sealing } from '#libs/platform/sealing.js';
import { signCheckpoint, type Checkpoint } from '#libs/tlog/checkpoint.js';
import { formatVkey, verifierKey, type NoteSigner } from '#libs/tlog/note.js';
import { inclusionProof } from '#libs/tlog/proofs.js';
import { formatReceipt } from '#libs/tlog/receipt.js';
import { checkpointUnavailable } from './anchor.js';
import { Anchoring } from './anchoring.js';
import { AuditTree } from './audit-tree.js';
import { fixSigner, readEpochs, type Epoch } from './epochs.js';

/** What the key is sealed for. */
const PURPOSE = 'audit log key';
const DEPLOYMENT_ID_BYTES = 8;
/** The public key is at the end of its DER. */
const PUBLIC_KEY_BYTES = 32;

/** An epoch that can sign. */
type Signing = Epoch & { readonly origin: string; readonly privateKey: Buffer };

/**
 * Signs checkpoints when they are asked for. The key and the origin of an epoch are fixed at its first signature, so a
 * trial on localhost fixes nothing that stays. All logs share a key, under a name of their own: the origin of the log.
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
    const checkpoint = { origin: originOf(signing, organizationId), ...tree };
    return { note: signCheckpoint(checkpoint, [this.#signer(signing, organizationId)]), checkpoint };
  }

  /** The public keys of a log, those of the current epoch first. */
  async vkeys(organizationId: string): Promise<string[]> {
    let epochs = await readEpochs(this.pool);
    if (!epochs[0] || !isSigning(epochs[0])) {
      await this.sign(organizationId);
      epochs = await readEpochs(this.pool);
    }
    return epochs.filter(isSigning).map((epoch) => formatVkey(this.#signer(epoch, organizationId).key));
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
    const nodes = this.tree.nodes(organizationId, await this.tree.head(organizationId));
    const proof = await inclusionProof(index, checkpoint.size, nodes);
    return formatReceipt({ entry: entry!, index, proof, checkpoint: note });
  }

  async #fix(epoch: Epoch): Promise<Signing> {
    const { LOG_ORIGIN } = this.config.settings;
    const name = LOG_ORIGIN ?? new URL(this.config.publicUrl).host;
    const origin = `${name}/${randomBytes(DEPLOYMENT_ID_BYTES).toString('hex')}`;
    const { privateKey } = generateKeyPairSync('ed25519');
    const sealed = this.sealing.seal(PURPOSE, privateKey.export({ type: 'pkcs8', format: 'der' }));
    return (await fixSigner(this.pool, epoch, origin, sealed)) as Signing;
  }

  #signer(epoch: Signing, organizationId: string): NoteSigner {
    const key = this.#open(epoch);
    const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' }).subarray(-PUBLIC_KEY_BYTES);
    return {
      key: verifierKey(originOf(epoch, organizationId), publicKey),
      sign: (message) => sign(null, message, key),
    };
  }

  #open({ privateKey }: Signing): KeyObject {
    try {
      const der = Buffer.from(this.sealing.open(PURPOSE, privateKey));
      return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    } catch (error) {
      throw checkpointUnavailable(
        'The key of the audit logs was sealed with another KEYLEDGER_SECRET: set the one that belongs to the database.',
        error,
      );
    }
  }
}

function isSigning(epoch: Epoch): epoch is Signing {
  return epoch.origin !== null && epoch.privateKey !== null;
}

function originOf({ origin }: Signing, organizationId: string): string {
  return `${origin}/${organizationId}`;
}
