import { v7 } from 'uuid';
import { stateKey, type Charge, type Charged, type Row } from './conditional-event.js';

/** How many limits one statement counts against: each takes it some time, and its time is bounded. */
const MAX_LIMITS = 512;

/**
 * Puts the requests of a batch into rows: one row for a key with limits, and one for all keys of an organization that have
 * none. These go into a later batch: requests decided under another state, those beyond what is known to be left of a balance
 * or a limit, and those beyond {@link MAX_LIMITS}. The first request of a row is never held back by what is known: only the
 * statement rejects.
 */
export function gather(
  batch: readonly Charged[],
  reach: Map<string, number>,
): { readonly rows: readonly Row<Charged>[]; readonly later: readonly Charged[] } {
  const rows = new Map<string, Charged[]>();
  const taken = new Map<string, number>();
  let limits = 0;
  const later: Charged[] = [];
  for (const one of batch) {
    const sources = sourcesOf(one.charge);
    const row = rows.get(sources[0]!);
    const sums = sources.map((source) => (taken.get(source) ?? 0) + one.charge.amount);
    const isWithinReach = sources.every(
      (source, n) => !taken.has(source) || sums[n]! <= (reach.get(source) ?? Infinity),
    );
    const more = row ? 0 : (one.charge.limited?.limits ?? 0);
    if (!isWithinReach || limits + more > MAX_LIMITS || (row && stateKey(row[0]!) !== stateKey(one))) {
      later.push(one);
      continue;
    }
    limits += more;
    for (const [n, source] of sources.entries()) taken.set(source, sums[n]!);
    if (row) row.push(one);
    else rows.set(sources[0]!, [one]);
  }
  // Forget what is known of a balance or a limit for which nothing waits.
  const heldBack = new Set(later.flatMap(({ charge }) => sourcesOf(charge)));
  for (const source of taken.keys()) if (!heldBack.has(source)) reach.delete(source);
  return { rows: [...rows.values()].map((waiting) => ({ id: v7(), waiting })), later };
}

/** The key and the organization that it takes from. The first of them names its row. */
function sourcesOf({ organizationId, limited }: Charge): string[] {
  return [limited?.apiKeyId, organizationId].filter((source) => source !== undefined);
}

export function amountOf(waiting: readonly Charged[]): number {
  return waiting.reduce((sum, { charge }) => sum + charge.amount, 0);
}
