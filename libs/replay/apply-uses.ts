import { z } from 'zod';
import type { EventEnvelope } from '#libs/contract/events.js';
import { readCounted } from '#libs/usage/counted-event.js';
import { verificationsIn } from '#libs/usage/verification-counts.js';
import type { Fields, State } from './state.js';

export type CountedType = 'api_key.used' | 'api_key.denied';

const DAY_LENGTH = '2026-11-20'.length;

/**
 * Counts a use or a denial as the worker counts it, by days instead of hours, and without endpoints.
 * @throws z.ZodError if the event cannot be counted
 */
export function count(state: State, envelope: EventEnvelope): void {
  const event = readCounted(envelope);
  if (!event) return;
  const { apiKeyId, secretId, outcome, management, time, credits } = event;
  const isUse = outcome === 'valid';
  const counted = management ? 0 : event.count;
  const totals = countsOf(state, 'usage', apiKeyId, NO_USES);
  totals[isUse ? 'uses' : 'denials'] = (totals[isUse ? 'uses' : 'denials'] as number) + counted;
  later(totals, isUse ? 'last_used_at' : 'last_denied_at', time);
  if (isUse && secretId !== null) later(countsOf(state, 'secret_usage', secretId, NOT_USED), 'last_used_at', time);
  const day = countsOf(state, 'usage_day', dayId(apiKeyId, time.slice(0, DAY_LENGTH), outcome, management), NO_COUNTS);
  day['count'] = (day['count'] as number) + event.count;
  day['credits'] = (day['credits'] as number) + credits;
  for (const { apiKeyId, secretId, count, lastAt } of verificationsIn(envelope)) {
    const asked = countsOf(state, 'verifications', `${apiKeyId} ${secretId}`, NOT_ASKED);
    asked['count'] = (asked['count'] as number) + count;
    later(asked, 'last_at', lastAt);
  }
}

/** The id of the counts of a key on one day. */
export function dayId(apiKeyId: string, day: string, outcome: string, management: boolean): string {
  return `${apiKeyId} ${day} ${outcome} ${management ? 'management' : 'application'}`;
}

const NO_USES = { uses: 0, denials: 0, last_used_at: null, last_denied_at: null };
const NOT_USED = { last_used_at: null };
const NO_COUNTS = { count: 0, credits: 0 };
const NOT_ASKED = { count: 0, last_at: null };

function countsOf(
  state: State,
  kind: 'usage' | 'usage_day' | 'secret_usage' | 'verifications',
  id: string,
  none: Fields,
): Fields {
  let counts = state.get(kind, id);
  if (!counts) state.put(kind, id, (counts = { ...none }));
  return counts;
}

/** All times are in UTC with milliseconds, so they sort as text. */
function later(fields: Fields, field: string, time: string): void {
  const known = fields[field];
  if (typeof known !== 'string' || known < time) fields[field] = time;
}

const Charged = z.object({ organization_id: z.string(), cost: z.int().min(0), seq: z.int() });

/**
 * Charges a use to the balance that its decision knew. A use may follow, in the log, a change after its decision: the
 * sequence number of the authorization state says which balance it was.
 */
export function charge(state: State, { type, data }: EventEnvelope): void {
  if (type !== 'api_key.used' || data['cost'] === 0) return;
  // Most organizations have no balance, and most events are uses.
  if (state.of('balance').size === 0 && state.of('ended_balance').size === 0) return;
  const { organization_id: organizationId, cost, seq } = Charged.parse(data);
  const current = state.get('balance', organizationId);
  if (current && seq >= (current['since'] as number)) {
    current['balance'] = (current['balance'] as number) - cost;
    return;
  }
  for (const ended of state.of('ended_balance').values()) {
    if (seq < (ended['since'] as number) || seq >= (ended['until'] as number)) continue;
    ended['balance'] = (ended['balance'] as number) - cost;
  }
}
