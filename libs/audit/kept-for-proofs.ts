import type pg from 'pg';
import { BUNDLE_ENTRIES } from '#libs/tlog/entries.js';
import type { Heads } from './anchor-file.js';

/**
 * Remembers in which bundles these trees end. When such a bundle is pruned, its leaf hashes are kept, so that what was
 * signed remains provable, and the anchored tree can be compared with a later one.
 * @param signed trees that may be signed after this transaction
 * @param anchored the present trees of the anchor
 */
export async function keepForProofs(client: pg.ClientBase, signed: Heads, anchored: Heads): Promise<void> {
  if (signed.size > 0) {
    await client.query(
      'INSERT INTO audit_signed_bundle SELECT * FROM unnest($1::uuid[], $2::bigint[]) ON CONFLICT DO NOTHING',
      columnsOf(signed),
    );
  }
  if (anchored.size > 0) {
    await client.query(
      `INSERT INTO audit_anchored_bundle AS present SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS t (id, index)
       ON CONFLICT (organization_id) DO UPDATE SET index = excluded.index WHERE present.index <> excluded.index`,
      columnsOf(anchored),
    );
  }
}

/** Sorted, so that two transactions lock rows in the same order. A tree that ends with a bundle needs no leaf hash. */
function columnsOf(trees: Heads): [string[], number[]] {
  const inside = [...trees]
    .filter(([, { size }]) => size % BUNDLE_ENTRIES > 0)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return [inside.map(([id]) => id), inside.map(([, { size }]) => Math.floor(size / BUNDLE_ENTRIES))];
}
