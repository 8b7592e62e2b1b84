import { Inject, Injectable, Logger } from '@nestjs/common';
import type pg from 'pg';
import { DATABASE_POOL } from '#libs/database/database.js';
import { AuditPruning } from './audit-pruning.js';

const MONTHS_AHEAD = 3;

/** Keeps partitions ready for the coming months, reports bundles outside all partitions, and prunes what has expired. */
@Injectable()
export class AuditUpkeep {
  readonly #logger = new Logger(AuditUpkeep.name);

  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly pruning: AuditPruning,
  ) {}

  /** @param stop ends the pruning after its present step; the next run goes on */
  async run(stop?: AbortSignal): Promise<void> {
    await this.pool.query('SELECT ensure_audit_partitions($1)', [MONTHS_AHEAD]);
    const { rows } = await this.pool.query<{ stray: boolean }>(
      'SELECT EXISTS (SELECT FROM audit_body_default) AS stray',
    );
    if (rows[0]!.stray) {
      this.#logger.error(
        'audit_body_default holds bundles: the clock of the database was months off, or partitions are missing',
      );
    }
    await this.pruning.run(stop);
  }
}
