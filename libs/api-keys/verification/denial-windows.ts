import type { VerificationCode } from '#libs/contract/verification.js';
import type { DomainEventOf, EventActor, EventVerifier } from '#libs/contract/events.js';

/** The fields of a denied key that its events contain. */
export interface DeniedKey {
  readonly apiKeyId: string;
  readonly organizationId: string;
  readonly projectId: string | null;
  readonly shard: number;
}

export interface Denial {
  readonly key: DeniedKey;
  readonly seq: number;
  readonly code: VerificationCode;
  readonly actor: EventActor;
  readonly scopes: readonly string[];
  readonly details: Pick<
    DomainEventOf<'api_key.denied'>['data'],
    'surface' | 'method' | 'path' | 'route' | 'credential' | 'origin'
  >;
  readonly from: { readonly ip: string | null; readonly userAgent: string | null; readonly requestId: string | null };
  readonly verifiedBy: EventVerifier | undefined;
}

/** An event for one or more denials. Everything that it states is true of each of them. */
export interface DenialEvent {
  /** In a summary, only the key, the code, the actor and the surface are meaningful. */
  readonly denial: Denial;
  readonly count: number;
  readonly firstAt: Date;
  readonly lastAt: Date;
  /** Only for a summary: the callers that asked, and how often each did. */
  readonly callers?: readonly (EventVerifier & { readonly count: number })[];
}

interface Group {
  denial: Denial;
  count: number;
  firstAt: Date;
  lastAt: Date;
}

interface Summary extends Group {
  readonly callers: Map<string, EventVerifier & { count: number }>;
}

interface Window {
  readonly endsAt: number;
  recorded: number;
  /** Denials that agree in everything that their event states. */
  readonly groups: Map<string, Group>;
  readonly summaries: Map<string, Summary>;
  bytes: number;
}

interface Tenant {
  readonly windows: Map<string, Window>;
  bytes: number;
}

const WINDOW_MS = 60_000;
const HOUR_MS = 3_600_000;
/** For each key and window: events of single denials, and events of equal denials. Further denials are summarized. */
const RECORDED_AT_ONCE = 10;
const MAX_GROUPS = 10;
const MAX_CALLERS = 20;

/** In total and for each organization. A window without groups takes some hundred bytes, a group some kilobytes. */
export interface DenialBounds {
  readonly windows: number;
  readonly windowsOfOrganization: number;
  readonly bytes: number;
  readonly bytesOfOrganization: number;
}

const BOUNDS: DenialBounds = {
  windows: 20_000,
  windowsOfOrganization: 2_000,
  bytes: 16_000_000,
  bytesOfOrganization: 1_000_000,
};

/**
 * Decides, without I/O, which events record denials. In each minute, the first denials of a key have their own events.
 * Later denials that agree in everything become one event with a count. All others become summaries, one for each code
 * and surface, which state no method, path or address. So the number of events of a key is bounded, the counts are
 * exact, and everything that an event states is true of all denials that it counts.
 */
export class DenialWindows {
  readonly #tenants = new Map<string, Tenant>();
  #windows = 0;
  #bytes = 0;

  constructor(private readonly bounds: DenialBounds = BOUNDS) {}

  /**
   * @param mayRecord whether an event can be stored now
   * @returns whether the denial was folded into its window, and the events to store now
   */
  add(denial: Denial, at: Date, mayRecord: boolean): { readonly isFolded: boolean; readonly events: DenialEvent[] } {
    const events: DenialEvent[] = [];
    const { tenant, window } = this.#windowOf(denial.key, at, events);
    const isFolded = !mayRecord || window.recorded >= RECORDED_AT_ONCE;
    if (isFolded) this.#fold(tenant, window, denial, at);
    else {
      window.recorded += 1;
      events.push({ denial, count: 1, firstAt: at, lastAt: at });
    }
    return { isFolded, events };
  }

  /** Ends the windows whose time is over, and returns the events of their folded denials. */
  close(before: number): DenialEvent[] {
    const events: DenialEvent[] = [];
    for (const [organizationId, tenant] of this.#tenants) {
      for (const [apiKeyId, window] of tenant.windows) {
        if (window.endsAt <= before) this.#end(organizationId, tenant, apiKeyId, window, events);
      }
    }
    return events;
  }

  #windowOf({ organizationId, apiKeyId }: DeniedKey, at: Date, events: DenialEvent[]) {
    const now = at.getTime();
    const known = this.#tenants.get(organizationId);
    const open = known?.windows.get(apiKeyId);
    if (known && open && open.endsAt > now) return { tenant: known, window: open };
    if (known && open) this.#end(organizationId, known, apiKeyId, open, events);
    this.#makeRoom(organizationId, events);
    const tenant = this.#tenants.get(organizationId) ?? { windows: new Map<string, Window>(), bytes: 0 };
    this.#tenants.set(organizationId, tenant);
    // A window does not cross an hour, because usage is counted by the hour.
    const endsAt = Math.min(now + WINDOW_MS, now - (now % HOUR_MS) + HOUR_MS);
    const window: Window = { endsAt, recorded: 0, groups: new Map(), summaries: new Map(), bytes: 0 };
    tenant.windows.set(apiKeyId, window);
    this.#windows += 1;
    return { tenant, window };
  }

  /** If there are too many windows, ends one early: the organization's oldest or, if it has none, another's oldest. */
  #makeRoom(organizationId: string, events: DenialEvent[]): void {
    const own = this.#tenants.get(organizationId);
    const isFull = this.#windows >= this.bounds.windows;
    if (!isFull && (own?.windows.size ?? 0) < this.bounds.windowsOfOrganization) return;
    const [id, tenant] = own ? ([organizationId, own] as const) : this.#tenants.entries().next().value!;
    const [apiKeyId, window] = tenant.windows.entries().next().value!;
    this.#end(id, tenant, apiKeyId, window, events);
  }

  #end(organizationId: string, tenant: Tenant, apiKeyId: string, window: Window, events: DenialEvent[]): void {
    tenant.windows.delete(apiKeyId);
    if (tenant.windows.size === 0) this.#tenants.delete(organizationId);
    this.#windows -= 1;
    tenant.bytes -= window.bytes;
    this.#bytes -= window.bytes;
    events.push(...window.groups.values());
    for (const { callers, ...summary } of window.summaries.values()) {
      events.push({ ...summary, callers: [...callers.values()] });
    }
  }

  #fold(tenant: Tenant, window: Window, denial: Denial, at: Date): void {
    const identity = identityOf(denial);
    // Counts the identity and the denial itself.
    const bytes = 2 * identity.length;
    const group = window.groups.get(identity);
    if (group) addTo(group, denial, at);
    else if (window.groups.size < MAX_GROUPS && this.#hasRoomFor(tenant, bytes)) {
      // A copy, because its strings may be slices of longer ones, which would stay in memory.
      window.groups.set(identity, { denial: structuredClone(denial), count: 1, firstAt: at, lastAt: at });
      window.bytes += bytes;
      tenant.bytes += bytes;
      this.#bytes += bytes;
    } else summarize(window, denial, at);
  }

  #hasRoomFor(tenant: Tenant, bytes: number): boolean {
    return this.#bytes + bytes <= this.bounds.bytes && tenant.bytes + bytes <= this.bounds.bytesOfOrganization;
  }
}

/** Everything that an event states, except its time and its request id. */
function identityOf({ code, actor, scopes, details, from, verifiedBy }: Denial): string {
  const { surface, method, path, route, credential, origin } = details;
  return JSON.stringify([
    [code, surface, method, path, route, credential, origin],
    [from.ip, from.userAgent],
    scopes,
    [actor.type, actor.id],
    [verifiedBy?.type, verifiedBy?.id, verifiedBy?.secret_id],
  ]);
}

/** A group has the `seq` of its latest denial. */
function addTo(group: Group, denial: Denial, at: Date): void {
  group.count += 1;
  if (at >= group.lastAt) group.denial = { ...group.denial, seq: denial.seq };
  if (at > group.lastAt) group.lastAt = at;
  if (at < group.firstAt) group.firstAt = at;
}

function summarize(window: Window, denial: Denial, at: Date): void {
  const { code, details, verifiedBy } = denial;
  const kind = `${code} ${details.surface}`;
  const known = window.summaries.get(kind);
  if (known) addTo(known, denial, at);
  const summary = known ?? { denial: withoutRequest(denial), count: 1, firstAt: at, lastAt: at, callers: new Map() };
  window.summaries.set(kind, summary);
  if (!verifiedBy) return;
  const callerId = `${verifiedBy.id} ${verifiedBy.secret_id}`;
  const caller = summary.callers.get(callerId);
  if (caller) caller.count += 1;
  else if (summary.callers.size < MAX_CALLERS) summary.callers.set(callerId, { ...verifiedBy, count: 1 });
}

/** Keeps only what is true of all denials of a key with this code and surface, so that the rest can be freed. */
function withoutRequest({ key, seq, code, actor, details: { surface } }: Denial): Denial {
  return {
    key,
    seq,
    code,
    actor,
    scopes: [],
    details: { ...(surface && { surface }), method: null, path: null },
    from: { ip: null, userAgent: null, requestId: null },
    verifiedBy: undefined,
  };
}
