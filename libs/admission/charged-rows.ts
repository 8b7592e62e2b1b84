import { stateKey, type Charge, type Charged, type Gathered } from './conditional-event.js';

/** How many limits one statement counts against. Each costs some time, and the statement has a timeout. */
const MAX_LIMITS = 512;

/**
 * Groups the requests of a batch into rows: one row for each key with limits, and one for all keys of an organization
 * without limits. These requests go into a later batch: those decided under another state than their row, those beyond
 * what is left of a balance or limit, as far as this node knows, and those beyond {@link MAX_LIMITS}. The first request
 * of a row always takes part, whatever is left, because only the statement rejects requests.
 * @param remaining by organization or key, what is left of a balance or limit
 */
export function gather(
  batch: readonly Charged[],
  remaining: Map<string, number>,
): { readonly rows: readonly Gathered<Charged>[]; readonly later: readonly Charged[] } {
  const rows = new Map<string, Charged[]>();
  const taken = new Map<string, number>();
  let limits = 0;
  const later: Charged[] = [];
  for (const one of batch) {
    const sources = sourcesOf(one.charge);
    const row = rows.get(sources[0]!);
    const sums = sources.map((source) => (taken.get(source) ?? 0) + one.charge.amount);
    const isCovered = sources.every(
      (source, n) => !taken.has(source) || sums[n]! <= (remaining.get(source) ?? Infinity),
    );
    const newLimits = row ? 0 : (one.charge.limited?.limits ?? 0);
    if (!isCovered || limits + newLimits > MAX_LIMITS || (row && stateKey(row[0]!) !== stateKey(one))) {
      later.push(one);
      continue;
    }
    limits += newLimits;
    for (const [n, source] of sources.entries()) taken.set(source, sums[n]!);
    if (row) row.push(one);
    else rows.set(sources[0]!, [one]);
  }
  // Remove the entries of balances and limits for which no request waits.
  const heldBack = new Set(later.flatMap(({ charge }) => sourcesOf(charge)));
  for (const source of taken.keys()) if (!heldBack.has(source)) remaining.delete(source);
  return { rows: [...rows.values()].map((waiting) => ({ waiting })), later };
}

/** The key with limits and the organization with a balance to charge. The first of these identifies the row. */
function sourcesOf({ organizationId, limited }: Charge): string[] {
  return [limited?.apiKeyId, organizationId].filter((source) => source !== undefined);
}

export function amountOf(waiting: readonly Charged[]): number {
  return waiting.reduce((sum, { charge }) => sum + charge.amount, 0);
}
