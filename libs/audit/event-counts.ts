import type { AuditEvent } from '#libs/contract/audit.js';
import type { RouteOutput } from '#libs/contract/route.js';
import type { summarizeAuditEvents } from '#libs/contract/audit-summary.js';

type Summary = RouteOutput<typeof summarizeAuditEvents>;
type Place = NonNullable<Summary['newest']>;

/** Counts events by type and outcome. */
export class EventCounts {
  readonly #counts = new Map<string, Summary['data'][number]>();
  #newest: Place | null = null;
  #oldest: Place | null = null;

  /** Takes the events in any order. */
  add({ leaf_index, event: { type, time, data } }: AuditEvent): void {
    const outcome = outcomeOf(type, data['code']);
    const key = `${type} ${outcome ?? ''}`;
    const known = this.#counts.get(key) ?? { type, outcome, events: 0, count: 0 };
    const { count } = data;
    const times = typeof count === 'number' && Number.isSafeInteger(count) && count > 0 ? count : 1;
    this.#counts.set(key, { ...known, events: known.events + 1, count: known.count + times });
    if (!this.#newest || leaf_index > this.#newest.leaf_index) this.#newest = { leaf_index, time };
    if (!this.#oldest || leaf_index < this.#oldest.leaf_index) this.#oldest = { leaf_index, time };
  }

  /** The most frequent first. */
  present(): Pick<Summary, 'data' | 'newest' | 'oldest'> {
    const data = [...this.#counts.values()].toSorted((a, b) => b.events - a.events || (a.type < b.type ? -1 : 1));
    return { data, newest: this.#newest, oldest: this.#oldest };
  }
}

function outcomeOf(type: string, code: unknown): string | null {
  if (type === 'api_key.used') return 'valid';
  return type === 'api_key.denied' && typeof code === 'string' ? code : null;
}
