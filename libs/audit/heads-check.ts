import type pg from 'pg';
import { fromUuid } from '#libs/contract/ids.js';
import { Frontier } from '#libs/tlog/frontier.js';
import { TILE_HEIGHT } from '#libs/tlog/tiles.js';
import { headEntry, headsOrigin } from '#libs/tlog/witnessed-receipt.js';
import { CosignedCheck, type CosignedLog } from './cosigned-check.js';
import { leafHashOf, nodeHashOf } from './log-growth.js';

type StoredLog = Omit<CosignedLog, 'origin'> & {
  /** The beginning of the origins of all logs. */
  readonly prefix: string;
  readonly size: number;
  readonly frontier: Buffer;
};

interface StoredHead {
  readonly index: number;
  readonly id: string;
  readonly size: number;
  readonly root: Buffer;
}

/** Entries in memory at once. */
const TOGETHER = 10_000;

/**
 * Recomputes the hashes of the logs of heads from their entries, and verifies the cosignatures of witnesses.
 * @returns what differs first, or null
 */
export async function headsDifference(client: pg.ClientBase): Promise<string | null> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    const { rows } = await client.query<StoredLog>(
      `SELECT epoch, origin AS prefix, h.size::float8 AS size, frontier, cosigned, cosigned_size::float8 AS cosigned_size
       FROM audit_heads h JOIN audit_epoch e ON e.number = h.epoch WHERE origin IS NOT NULL ORDER BY epoch`,
    );
    for (const log of rows) {
      const difference = await differenceOf(client, log);
      if (difference) return `${difference} of the log of heads of epoch ${log.epoch}`;
    }
    const unknown = await epochWithoutLog(
      client,
      rows.map(({ epoch }) => epoch),
    );
    return unknown === null ? null : `the head of the log of heads of epoch ${unknown}`;
  } finally {
    await client.query('ROLLBACK');
  }
}

/** An epoch that has heads, but no log of heads. */
async function epochWithoutLog(client: pg.ClientBase, epochs: readonly number[]): Promise<number | null> {
  const { rows } = await client.query<{ epoch: number | null }>(
    `SELECT min(epoch) AS epoch FROM (
       SELECT epoch FROM audit_head UNION SELECT epoch FROM audit_head_node
       UNION SELECT epoch FROM audit_witness WHERE size > 0 UNION SELECT epoch FROM audit_heads WHERE size > 0
     ) AS found WHERE epoch <> ALL ($1::integer[])`,
    [epochs],
  );
  return rows[0]!.epoch;
}

async function differenceOf(client: pg.ClientBase, log: StoredLog): Promise<string | null> {
  const computed = new Frontier(0, new Uint8Array(), nodeHashOf);
  const cosigned = await CosignedCheck.open(client, { ...log, origin: headsOrigin(`${log.prefix}/`) });
  const roots = new Map<number, Uint8Array>();
  let nodes = 0;
  for (let from = 0; from < log.size; from = computed.size) {
    const heads = await readHeads(client, log, from);
    if (heads.length === 0) return `entry ${from}`;
    const stored = await readNodes(client, log, from, from + heads.length);
    for (const { index, id, size, root } of heads) {
      if (index !== computed.size) return `entry ${computed.size}`;
      const entry = headEntry({ origin: `${log.prefix}/${fromUuid('org', id)}`, size, root });
      for (const node of computed.append(leafHashOf(entry))) {
        if (node.height === 0 || node.height % TILE_HEIGHT > 0) continue;
        nodes += 1;
        const name = `${node.height / TILE_HEIGHT}/${node.index}`;
        if (!stored.get(name)?.equals(node.hash)) return `node ${name}`;
      }
      if (cosigned.sizes.has(computed.size)) roots.set(computed.size, computed.root());
    }
  }
  if (!log.frontier.equals(computed.encode())) return 'the hashes of the head';
  const { rows } = await client.query<{ heads: number; nodes: number }>(
    `SELECT (SELECT count(*) FROM audit_head WHERE epoch = $1)::float8 AS heads,
            (SELECT count(*) FROM audit_head_node WHERE epoch = $1)::float8 AS nodes`,
    [log.epoch],
  );
  if (rows[0]!.heads !== log.size || rows[0]!.nodes !== nodes) return 'the numbers of the rows';
  return cosigned.difference(roots);
}

async function readHeads(client: pg.ClientBase, { epoch, size }: StoredLog, from: number): Promise<StoredHead[]> {
  const { rows } = await client.query<StoredHead>(
    `SELECT index::float8 AS index, organization_id AS id, size::float8 AS size, root FROM audit_head
     WHERE epoch = $1 AND index >= $2 AND index < $3 ORDER BY index`,
    [epoch, from, Math.min(from + TOGETHER, size)],
  );
  return rows;
}

/** The nodes that these entries complete, by level and index. */
async function readNodes(
  client: pg.ClientBase,
  { epoch }: StoredLog,
  from: number,
  below: number,
): Promise<ReadonlyMap<string, Buffer>> {
  const { rows } = await client.query<{ level: number; index: number; hash: Buffer }>(
    `SELECT level, index::float8 AS index, hash FROM audit_head_node
     WHERE epoch = $1 AND (index + 1)::numeric * 256::numeric ^ level BETWEEN $2::bigint + 1 AND $3::bigint`,
    [epoch, from, below],
  );
  return new Map(rows.map(({ level, index, hash }) => [`${level}/${index}`, hash]));
}
