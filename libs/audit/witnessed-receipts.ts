import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { DATABASE_POOL } from '#libs/database/database.js';
import { DomainError } from '#libs/platform/errors.js';
import { parseNote, parseVkey } from '#libs/tlog/note.js';
import { ProofError } from '#libs/tlog/proof-error.js';
import { inclusionProof } from '#libs/tlog/proofs.js';
import { formatWitnessedReceipt, verifyWitnessedReceipt } from '#libs/tlog/witnessed-receipt.js';
import { checkpointUnavailable } from './anchor.js';
import { AuditTree } from './audit-tree.js';
import { Checkpoints, vkeysOf } from './checkpoints.js';
import { readEpochs, type Epoch } from './epochs.js';
import { HeadsLog, isNamed, type RecordedHead } from './heads-log.js';
import { WitnessStates, type CosignedHeads } from './witness-states.js';

/** Receipts that lead from an entry to the cosignatures of witnesses. */
@Injectable()
export class WitnessedReceipts {
  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly checkpoints: Checkpoints,
    private readonly heads: HeadsLog,
    private readonly states: WitnessStates,
    private readonly tree: AuditTree,
  ) {}

  /** The newest head of a log that the witnesses have cosigned; null if there is none. */
  async coveredBy(
    organizationId: string,
    epoch: Epoch,
  ): Promise<(RecordedHead & { readonly in: CosignedHeads }) | null> {
    const cosigned = await this.states.cosigned(epoch);
    // What a compromised key signed counts no more. With the next key, the witnesses cosign again.
    if (!cosigned || !isNamed(epoch) || !isSignedByOne(cosigned.note, vkeysOf(epoch))) return null;
    const head = await this.heads.newestOf(organizationId, epoch, cosigned.size);
    return head && { ...head, in: cosigned };
  }

  /** @throws DomainError `not_witnessed` if no cosigned head covers the entry yet */
  async receipt(organizationId: string, index: number): Promise<string> {
    const {
      tree: { size },
    } = await this.tree.head(organizationId);
    if (index >= size) {
      throw new DomainError('not_found', `The audit log of ${size} events has none with the leaf index ${index}`);
    }
    const [epoch] = await readEpochs(this.pool);
    const head = epoch ? await this.coveredBy(organizationId, epoch) : null;
    if (!head || head.tree.size <= index) {
      throw new DomainError(
        'not_witnessed',
        `Witnesses have cosigned the first ${head?.tree.size ?? 0} events of this audit log, not the one with the leaf index ${index}`,
      );
    }
    const signed = await this.checkpoints.signEarlier(organizationId, head.tree);
    if (signed.epoch.number !== epoch!.number) throw checkpointUnavailable('A new epoch has begun: try again.');
    const receipt = formatWitnessedReceipt(await this.checkpoints.receiptFrom(organizationId, index, signed), {
      index: head.index,
      proof: await inclusionProof(head.index, head.in.size, this.heads.nodes(signed.epoch)),
      checkpoint: head.in.note,
    });
    requireProof(receipt, vkeysOf(signed.epoch, organizationId));
    return receipt;
  }
}

/** Whether the note has a signature line of one of the keys. Whether it is right is verified with the whole receipt. */
function isSignedByOne(note: string, vkeys: readonly string[]): boolean {
  const keys = vkeys.map((vkey) => parseVkey(vkey));
  return parseNote(note).signatures.some(({ name, id }) => keys.some((key) => key.name === name && key.id === id));
}

/** What the witnesses have seen must follow from what is stored. Otherwise the signature does not leave this process. */
function requireProof(receipt: string, vkeys: readonly string[]): void {
  try {
    verifyWitnessedReceipt(
      receipt,
      vkeys.map((vkey) => parseVkey(vkey)),
      { witnesses: [], quorum: 0 },
    );
  } catch (error) {
    if (!(error instanceof ProofError)) throw error;
    throw new DomainError(
      'audit_log_damaged',
      `The audit log is not the one that the witnesses cosigned: ${error.message}`,
    );
  }
}
