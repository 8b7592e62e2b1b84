import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import type { auditIntegrity } from '#libs/contract/audit-integrity.js';
import type { RouteOutput } from '#libs/contract/route.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import { DomainError } from '#libs/platform/errors.js';
import { toBase64 } from '#libs/tlog/bytes.js';
import { formatVkey } from '#libs/tlog/note.js';
import { Checkpoints, vkeysOf } from './checkpoints.js';
import { readEpochs, type Epoch } from './epochs.js';
import { HeadsLog, isNamed } from './heads-log.js';
import { keyOf } from './signing-keys.js';
import { WitnessStates } from './witness-states.js';
import { WitnessedReceipts } from './witnessed-receipts.js';
import { Witnesses } from './witnesses.js';

type Output = RouteOutput<typeof auditIntegrity>;

/** What auditors can rely on: the checkpoint, the keys and the witnesses of an audit log. */
@Injectable()
export class Integrity {
  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly checkpoints: Checkpoints,
    private readonly heads: HeadsLog,
    private readonly receipts: WitnessedReceipts,
    private readonly witnesses: Witnesses,
    private readonly states: WitnessStates,
  ) {}

  async of(organizationId: string): Promise<Output> {
    const signed = await this.#checkpoint(organizationId);
    const epochs = await readEpochs(this.pool);
    return {
      ...signed,
      epochs: epochs.filter(isNamed).map(({ number, origin, keys }) => ({
        number,
        origin: `${origin}/${organizationId}`,
        keys: keys.map((key) => ({
          vkey: formatVkey(keyOf(key, `${origin}/${organizationId}`)),
          ends_at: key.endsAt?.toISOString() ?? null,
          compromised: key.isCompromised,
        })),
      })),
      witnesses: this.witnesses.all.length > 0 && epochs[0] ? await this.#witnesses(organizationId, epochs[0]) : null,
    };
  }

  async #checkpoint(organizationId: string): Promise<Pick<Output, 'checkpoint' | 'unavailable'>> {
    try {
      const { origin, size, root } = (await this.checkpoints.sign(organizationId)).checkpoint;
      return { checkpoint: { origin, size, root: toBase64(root) }, unavailable: null };
    } catch (error) {
      if (!(error instanceof DomainError) || error.code !== 'checkpoint_unavailable') throw error;
      return { checkpoint: null, unavailable: error.message };
    }
  }

  async #witnesses(organizationId: string, epoch: Epoch): Promise<Output['witnesses']> {
    const states = await this.states.read(epoch);
    const covered = await this.receipts.coveredBy(organizationId, epoch);
    const { tree } = await this.heads.head(this.pool, epoch);
    return {
      quorum: this.witnesses.policy.quorum,
      log_of_heads: { size: tree.size, vkeys: isNamed(epoch) ? vkeysOf(epoch) : [] },
      cosigned: covered && { size: covered.tree.size, at: covered.in.at.toISOString() },
      witnesses: this.witnesses.all.map(({ key, vkey }) => {
        const state = states.get(vkey);
        return {
          name: key.name,
          vkey,
          cosigned_at: state?.cosignedAt?.toISOString() ?? null,
          is_up_to_date: state?.size === tree.size,
          failed_at: state?.failedAt?.toISOString() ?? null,
        };
      }),
    };
  }
}
