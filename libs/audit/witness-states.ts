import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { DATABASE_POOL } from '#libs/database/database.js';
import type { Cosignature } from '#libs/tlog/cosignature.js';
import type { Epoch } from './epochs.js';

/** What a witness did last. */
export interface WitnessState {
  readonly vkey: string;
  /** The size of the tree that it cosigned: 0 if it has cosigned none. */
  readonly size: number;
  /** The time in its cosignature. */
  readonly cosignedAt: Date | null;
  /** The signature line. */
  readonly cosignature: string | null;
  /** Why it did not cosign when it was last asked; null if it did. */
  readonly failure: string | null;
  readonly failedAt: Date | null;
}

/** The newest checkpoint of the log of heads that enough witnesses cosigned. */
export interface CosignedHeads {
  /** The note with all signatures. */
  readonly note: string;
  readonly size: number;
  readonly at: Date;
}

/** What the database has of the witnesses and of what they cosigned, in an epoch. */
@Injectable()
export class WitnessStates {
  constructor(@Inject(DATABASE_POOL) private readonly pool: pg.Pool) {}

  /** Whether this node asks the witnesses now. One node does in each interval. */
  async takeTurn({ number }: Epoch, intervalMs: number): Promise<boolean> {
    const { rowCount } = await this.pool.query(
      `INSERT INTO audit_heads AS h (epoch, asked_at) VALUES ($1, now())
       ON CONFLICT (epoch) DO UPDATE SET asked_at = now()
       WHERE coalesce(h.asked_at <= now() - make_interval(secs => $2), true)`,
      // The timers of nodes are not exact.
      [number, (intervalMs * 0.9) / 1000],
    );
    return rowCount === 1;
  }

  async read({ number }: Pick<Epoch, 'number'>): Promise<ReadonlyMap<string, WitnessState>> {
    const { rows } = await this.pool.query<WitnessState>(
      `SELECT vkey, size::float8 AS size, cosigned_at AS "cosignedAt", cosignature, failure, failed_at AS "failedAt"
       FROM audit_witness WHERE epoch = $1`,
      [number],
    );
    return new Map(rows.map((state) => [state.vkey, state]));
  }

  async succeeded({ number }: Epoch, vkey: string, size: number, { time, line }: Cosignature): Promise<void> {
    await this.pool.query(
      `INSERT INTO audit_witness AS w (epoch, vkey, size, cosigned_at, cosignature) VALUES ($1, $2, $3, to_timestamp($4), $5)
       ON CONFLICT (epoch, vkey) DO UPDATE SET size = excluded.size, cosigned_at = excluded.cosigned_at,
         cosignature = excluded.cosignature, failure = NULL, failed_at = NULL WHERE w.size <= excluded.size`,
      [number, vkey, size, time, line],
    );
  }

  async failed({ number }: Epoch, vkey: string, failure: string): Promise<void> {
    await this.pool.query(
      `INSERT INTO audit_witness (epoch, vkey, failure, failed_at) VALUES ($1, $2, $3, now())
       ON CONFLICT (epoch, vkey) DO UPDATE SET failure = excluded.failure, failed_at = excluded.failed_at`,
      [number, vkey, failure],
    );
  }

  async saveCosigned({ number }: Epoch, note: string, size: number): Promise<void> {
    await this.pool.query(
      `UPDATE audit_heads SET cosigned = $2, cosigned_size = $3, cosigned_at = now()
       WHERE epoch = $1 AND cosigned_size <= $3 AND cosigned IS DISTINCT FROM $2`,
      [number, note, size],
    );
  }

  /** @returns null if there is none in this epoch */
  async cosigned({ number }: Pick<Epoch, 'number'>): Promise<CosignedHeads | null> {
    const { rows } = await this.pool.query<CosignedHeads>(
      `SELECT cosigned AS note, cosigned_size::float8 AS size, cosigned_at AS at
       FROM audit_heads WHERE epoch = $1 AND cosigned IS NOT NULL`,
      [number],
    );
    return rows[0] ?? null;
  }
}
