import type { CountedEvent } from './counted-event.js';
import { NO_ENDPOINT, OTHER_ENDPOINTS } from './endpoint.js';

/** The counts of one endpoint in one hour of a key. */
interface EndpointCount {
  count: number;
  credits: number;
}

type EndpointCounts = Map<string, EndpointCount>;

/** One hour of a key, for one outcome on one of the two surfaces: one row of `api_key_usage_hour`. */
export interface HourCounts {
  /** Such as `2026-11-20T10`, in UTC. */
  readonly hour: string;
  /** `valid`, or the code of the denial. */
  readonly outcome: string;
  readonly projectId: string | null;
  readonly endpoints: EndpointCounts;
  /** Denials at endpoints at which the key had no use before, as far as these events show. */
  early?: EndpointCounts;
}

/** The uses and denials of a key on one surface. */
export interface SurfaceCounts {
  readonly management: boolean;
  /** The endpoints that a key has from the beginning, and those at which it had a use, in the order of the first one. */
  readonly used: Set<string>;
  readonly hours: Map<string, HourCounts>;
  /** The hour of the last event, which is nearly always that of the next one. */
  latest: HourCounts | undefined;
}

/** Additions for one key. Uses and denials are those of the owner's API; last times are of either surface. */
export interface KeyCounts {
  readonly apiKeyId: string;
  readonly organizationId: string;
  uses: number;
  denials: number;
  lastUsedAt: string | null;
  lastDeniedAt: string | null;
  /** The last use of each secret. */
  readonly secrets: Map<string, string>;
  readonly surfaces: SurfaceCounts[];
}

/** The endpoints that a key has from the beginning. */
export const FIRST_ENDPOINTS: readonly string[] = [NO_ENDPOINT, OTHER_ENDPOINTS];

/** Maximum of endpoints that are counted separately for a key, ever, on each of the two surfaces. */
const MAX_ENDPOINTS = FIRST_ENDPOINTS.length + 100;

/** About what they take in memory. */
const COUNT_BYTES = 150;
const HOUR_BYTES = 500;
const KEY_BYTES = 1_500;

function countBytes(endpoint: string): number {
  return COUNT_BYTES + 2 * endpoint.length;
}

const HOUR_LENGTH = '2026-11-20T10'.length;

/**
 * Adds up events in the order of the audit log. The sum over several parts of a log is the sum over the whole log,
 * however it is divided.
 */
export class UsageCounts {
  readonly #keys = new Map<string, KeyCounts>();
  #bytes = 0;

  /** @param isWhole whether these are all events of the keys, from the first one on */
  constructor(private readonly isWhole = false) {}

  /** About the memory that the counts take. */
  get bytes(): number {
    return this.#bytes;
  }

  add(event: CountedEvent): void {
    const { apiKeyId, management, count, outcome, time } = event;
    let key = this.#keys.get(apiKeyId);
    if (!key) {
      this.#keys.set(apiKeyId, (key = newKey(event)));
      this.#bytes += KEY_BYTES;
    }
    const counted = management ? 0 : count;
    if (outcome === 'valid') {
      key.uses += counted;
      key.lastUsedAt = later(key.lastUsedAt, time);
      if (event.secretId !== null) key.secrets.set(event.secretId, later(key.secrets.get(event.secretId), time));
    } else {
      key.denials += counted;
      key.lastDeniedAt = later(key.lastDeniedAt, time);
    }
    this.#addToHour(surfaceOf(key, management), event);
  }

  #addToHour(surface: SurfaceCounts, event: CountedEvent): void {
    const { used } = surface;
    const hour = this.#hourOf(surface, event);
    let { endpoint } = event;
    let endpoints = hour.endpoints;
    if (!used.has(endpoint)) {
      if (event.outcome === 'valid' && !(this.isWhole && used.size === MAX_ENDPOINTS)) used.add(endpoint);
      else if (this.isWhole) endpoint = OTHER_ENDPOINTS;
      else endpoints = hour.early ??= new Map();
    }
    const known = endpoints.get(endpoint);
    if (known) {
      known.count += event.count;
      known.credits += event.credits;
    } else {
      endpoints.set(endpoint, { count: event.count, credits: event.credits });
      this.#bytes += countBytes(endpoint);
    }
  }

  #hourOf(surface: SurfaceCounts, { time, outcome, projectId }: CountedEvent): HourCounts {
    const { latest, hours } = surface;
    if (latest && latest.outcome === outcome && time.startsWith(latest.hour)) return latest;
    const hour = time.slice(0, HOUR_LENGTH);
    const place = `${hour} ${outcome}`;
    let counts = hours.get(place);
    if (!counts) {
      hours.set(place, (counts = { hour, outcome, projectId, endpoints: new Map() }));
      this.#bytes += HOUR_BYTES;
    }
    surface.latest = counts;
    return counts;
  }

  /** In the order of the keys' ids. */
  keys(): KeyCounts[] {
    return [...this.#keys.values()].toSorted((a, b) => (a.apiKeyId < b.apiKeyId ? -1 : 1));
  }

  /** Removes a key and its counts. */
  remove(key: KeyCounts): void {
    this.#keys.delete(key.apiKeyId);
    this.#bytes -= KEY_BYTES;
    for (const { hours } of key.surfaces) {
      for (const { endpoints, early } of hours.values()) {
        this.#bytes -= HOUR_BYTES;
        for (const endpoint of [...endpoints.keys(), ...(early?.keys() ?? [])]) this.#bytes -= countBytes(endpoint);
      }
    }
  }
}

/**
 * Pure: the endpoints that are counted separately once these events are counted. A new endpoint is, while there is room,
 * if the key had a use there: a key that is denied everywhere does not fill the room.
 * @param known those before the events
 */
export function endpointsAfter(known: readonly string[], { used }: SurfaceCounts): readonly string[] {
  const room = MAX_ENDPOINTS - known.length;
  const before = new Set(known);
  return [...known, ...[...used].filter((endpoint) => !before.has(endpoint)).slice(0, room)];
}

/** The counts of an hour by the position of the endpoint, as they are stored. */
export interface Placed {
  /** 0 for an endpoint without requests. */
  readonly counts: number[];
  readonly credits: number[];
}

/** Places the counts of the hours of one surface. */
export class Places {
  readonly #places: ReadonlyMap<string, number>;

  /**
   * @param endpoints those that are counted separately, as {@link endpointsAfter} returns them
   * @param known how many of them were known before the events
   */
  constructor(
    endpoints: readonly string[],
    private readonly known: number,
  ) {
    this.#places = new Map(endpoints.map((endpoint, place) => [endpoint, place]));
  }

  place({ endpoints, early }: HourCounts): Placed {
    const placed: Placed = { counts: [], credits: [] };
    const others = this.#places.get(OTHER_ENDPOINTS)!;
    for (const [endpoint, count] of endpoints) addAt(placed, this.#places.get(endpoint) ?? others, count);
    for (const [endpoint, count] of early ?? []) {
      const place = this.#places.get(endpoint) ?? others;
      addAt(placed, place < this.known ? place : others, count);
    }
    return placed;
  }
}

function addAt({ counts, credits }: Placed, place: number, more: EndpointCount): void {
  while (counts.length <= place) {
    counts.push(0);
    credits.push(0);
  }
  counts[place]! += more.count;
  credits[place]! += more.credits;
}

function newKey({ apiKeyId, organizationId }: CountedEvent): KeyCounts {
  return {
    apiKeyId,
    organizationId,
    uses: 0,
    denials: 0,
    lastUsedAt: null,
    lastDeniedAt: null,
    secrets: new Map(),
    surfaces: [],
  };
}

function surfaceOf({ surfaces }: KeyCounts, management: boolean): SurfaceCounts {
  for (const surface of surfaces) if (surface.management === management) return surface;
  const surface = {
    management,
    used: new Set(FIRST_ENDPOINTS),
    hours: new Map<string, HourCounts>(),
    latest: undefined,
  };
  surfaces.push(surface);
  return surface;
}

/** Both are in UTC with milliseconds, as we write times, so they sort as text. */
function later(a: string | null | undefined, b: string): string {
  return a && a > b ? a : b;
}
