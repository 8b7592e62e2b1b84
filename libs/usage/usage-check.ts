import type pg from 'pg';
import type { EventEnvelope } from '#libs/contract/events.js';
import { fromUuid, toUuid } from '#libs/contract/ids.js';
import { cursor } from '#libs/database/cursor.js';
import { readCounted } from './counted-event.js';
import { endpointsAfter, FIRST_ENDPOINTS, Places, UsageCounts, type KeyCounts } from './usage-counts.js';
import { VerificationCounts } from './verification-counts.js';

type Client = Pick<pg.ClientBase, 'query'>;

/** Of the counts that are in memory at once. */
const MAX_BYTES = 200_000_000;
const KEYS_PER_STATEMENT = 1_000;

/**
 * Compares the counts of usage with the audit logs. The counts of a key follow from the log of its organization, those
 * of the verifications for which it asked from all logs together.
 */
export class UsageCheck {
  readonly #verifications = new VerificationCounts();

  /** @param maxBytes the memory of counts, unless those of a single key take more */
  constructor(private readonly maxBytes = MAX_BYTES) {}

  /** Begins to read a log, for the keys from this id on. */
  open(organizationId: string, fromKey: string): LogUsage {
    return new LogUsage(organizationId, fromKey, this.maxBytes);
  }

  /** Takes an event of any log, once. */
  add(envelope: EventEnvelope): void {
    if (readCounted(envelope)) this.#verifications.add(envelope);
  }

  /**
   * Call it after all events of all logs, in the transaction that reads the ends of the logs.
   * @returns the first difference, or null
   */
  async difference(client: Client): Promise<string | null> {
    const expected = new Map(
      this.#verifications.sorted().map((own) => [verificationsPlace(own), [own.count, Date.parse(own.lastAt)]]),
    );
    const stored = cursor<{ api_key_id: string; secret_id: string; ingest_group: number; count: number; ms: number }>(
      client,
      `SELECT api_key_id, secret_id, ingest_group, count::float8 AS count, ${ms('last_at')} AS ms
       FROM api_key_verifications ORDER BY api_key_id, secret_id, ingest_group`,
    );
    for await (const row of stored) {
      const apiKeyId = fromUuid('key', row.api_key_id);
      const secretId = fromUuid('secret', row.secret_id);
      const place = verificationsPlace({ apiKeyId, secretId, ingestGroup: row.ingest_group });
      const own = expected.get(place);
      if (!own || own[0] !== row.count || own[1] !== row.ms) return `the verifications for which ${apiKeyId} asked`;
      expected.delete(place);
    }
    const [missing] = expected.keys();
    return missing ? `the verifications for which ${missing.split(' ')[0]} asked` : unexplained(client);
  }
}

function verificationsPlace(of: { apiKeyId: string; secretId: string; ingestGroup: number }): string {
  return `${of.apiKeyId} ${of.secretId} ${of.ingestGroup}`;
}

/** Rows of keys of which no log has an event. Every counted event has a count in an hour, and each of these has a log. */
async function unexplained(client: Client): Promise<string | null> {
  const { rows } = await client.query<{ what: string; id: string }>(
    `SELECT 'hour' AS what, api_key_id AS id FROM api_key_usage_hour u
     WHERE NOT EXISTS (SELECT FROM audit_log l WHERE l.organization_id = u.organization_id)
     UNION ALL SELECT 'totals', api_key_id FROM api_key_usage u
     WHERE NOT EXISTS (SELECT FROM api_key_usage_hour h WHERE h.api_key_id = u.api_key_id)
     UNION ALL SELECT 'endpoints', api_key_id FROM api_key_endpoint u
     WHERE NOT EXISTS (SELECT FROM api_key_usage_hour h WHERE h.api_key_id = u.api_key_id)
     UNION ALL SELECT 'secret', secret_id FROM api_key_secret_usage u
     WHERE NOT EXISTS (SELECT FROM api_key_secret s JOIN api_key_usage_hour h USING (api_key_id) WHERE s.id = u.secret_id)
     LIMIT 1`,
  );
  const [row] = rows;
  if (!row) return null;
  if (row.what === 'secret') return `the last use of ${fromUuid('secret', row.id)}`;
  return `the ${row.what === 'hour' ? 'hours' : row.what} of ${fromUuid('key', row.id)}`;
}

/** What one reading of a log says about the counts of its keys. */
class LogUsage {
  readonly #counts = new UsageCounts(true);
  /** The first key that did not fit into memory. A later reading takes it. */
  #belowKey: string | null = null;

  constructor(
    private readonly organizationId: string,
    private readonly fromKey: string,
    private readonly maxBytes: number,
  ) {}

  /** Where the next reading begins; null if no key is left. */
  get nextKey(): string | null {
    return this.#belowKey;
  }

  add(envelope: EventEnvelope): void {
    const event = readCounted(envelope);
    if (!event || event.apiKeyId < this.fromKey) return;
    if (this.#belowKey !== null && event.apiKeyId >= this.#belowKey) return;
    this.#counts.add(event);
    if (this.#counts.bytes > this.maxBytes) this.#leaveForLater();
  }

  /** Removes the upper half of the keys. If there is only one, it stays: the counts of one key are not divided. */
  #leaveForLater(): void {
    const keys = this.#counts.keys();
    const later = keys.slice(Math.ceil(keys.length / 2));
    if (later.length === 0) return;
    this.#belowKey = later[0]!.apiKeyId;
    for (const key of later) this.#counts.remove(key);
  }

  /**
   * Call it after all events of the log, in the transaction that reads its end.
   * @returns the first difference, or null
   */
  async difference(client: Client): Promise<string | null> {
    const keys = this.#counts.keys();
    for (let n = 0; n < keys.length; n += KEYS_PER_STATEMENT) {
      const difference = await totalsDifference(client, keys.slice(n, n + KEYS_PER_STATEMENT));
      if (difference) return difference;
    }
    return this.#hoursDifference(client, new Map(keys.map((key) => [key.apiKeyId, key])));
  }

  async #hoursDifference(client: Client, keys: ReadonlyMap<string, KeyCounts>): Promise<string | null> {
    const stored = cursor<StoredHour>(
      client,
      `SELECT api_key_id, to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') AS hour, outcome, management,
              project_id, counts::text, credits::text
       FROM api_key_usage_hour
       WHERE organization_id = $1 AND api_key_id >= $2 AND ($3::uuid IS NULL OR api_key_id < $3)
       ORDER BY api_key_id, hour, outcome, management`,
      [
        toUuid(this.organizationId),
        this.fromKey ? toUuid(this.fromKey) : LEAST_UUID,
        this.#belowKey && toUuid(this.#belowKey),
      ],
    );
    let hours = new Map<string, string>();
    let current: string | undefined;
    const missingKeys = new Map(keys);
    for await (const row of stored) {
      const apiKeyId = fromUuid('key', row.api_key_id);
      if (apiKeyId !== current) {
        const [missing] = hours.keys();
        if (missing) return `the count of ${current} in the hour ${missing}`;
        current = apiKeyId;
        const key = missingKeys.get(apiKeyId);
        missingKeys.delete(apiKeyId);
        hours = key ? hoursOf(key) : new Map();
      }
      const place = hourPlace(row);
      const { project_id: projectId, counts, credits } = row;
      if (hours.get(place) !== hourText(projectId && fromUuid('proj', projectId), counts, credits)) {
        return `the count of ${apiKeyId} in the hour ${place}`;
      }
      hours.delete(place);
    }
    const [missing] = hours.keys();
    if (missing) return `the count of ${current} in the hour ${missing}`;
    const [missingKey] = missingKeys.keys();
    return missingKey ? `the count of ${missingKey} in every hour` : null;
  }
}

const LEAST_UUID = '00000000-0000-0000-0000-000000000000';

interface StoredHour {
  readonly api_key_id: string;
  readonly hour: string;
  readonly outcome: string;
  readonly management: boolean;
  readonly project_id: string | null;
  readonly counts: string;
  readonly credits: string;
}

function hourPlace({ hour, outcome, management }: Pick<StoredHour, 'hour' | 'outcome' | 'management'>): string {
  return `${hour.replace(':00:00.000000', '')}, ${outcome}${management ? ', management' : ''}`;
}

function hourText(projectId: string | null, counts: string, credits: string): string {
  return `${projectId} ${counts} ${credits}`;
}

/** The rows of a key as they must be stored, by hour, outcome and surface. */
function hoursOf({ surfaces }: KeyCounts): Map<string, string> {
  return new Map(
    surfaces.flatMap((surface) => {
      const places = new Places(endpointsAfter(FIRST_ENDPOINTS, surface), FIRST_ENDPOINTS.length);
      return [...surface.hours.values()].map((own): [string, string] => {
        const { counts, credits } = places.place(own);
        return [
          hourPlace({ ...own, management: surface.management }),
          hourText(own.projectId, sparse(counts), sparse(credits)),
        ];
      });
    }),
  );
}

function sparse(numbers: readonly number[]): string {
  return `{${numbers.map((number) => number || 'NULL').join(',')}}`;
}

/** The totals, the endpoints and the secrets of some keys. */
async function totalsDifference(client: Client, keys: readonly KeyCounts[]): Promise<string | null> {
  const ids = keys.map(({ apiKeyId }) => toUuid(apiKeyId));
  const totals = new Map((await client.query<StoredTotals>(TOTALS, [ids])).rows.map((row) => [row.api_key_id, row]));
  const endpoints = Map.groupBy(
    (await client.query<StoredEndpoints>(ENDPOINTS, [ids])).rows,
    ({ api_key_id: id }) => id,
  );
  const secrets = keys.flatMap((key) => [...key.secrets.keys()].map(toUuid));
  const lastUses = new Map(
    (await client.query<StoredSecret>(SECRETS, [ids, secrets])).rows.map((row) => [row.id, row.ms]),
  );
  for (const [n, key] of keys.entries()) {
    const { apiKeyId, uses, denials, lastUsedAt, lastDeniedAt } = key;
    const expected = { api_key_id: ids[n]!, uses, denials, used: msOf(lastUsedAt), denied: msOf(lastDeniedAt) };
    if (!isEqual(totals.get(ids[n]!), expected)) return `the totals of ${apiKeyId}`;
    const names = key.surfaces.map((surface) => [surface.management, endpointsAfter(FIRST_ENDPOINTS, surface)]);
    const own = (endpoints.get(ids[n]!) ?? []).map((row) => [row.management, row.names]);
    if (!isEqual(byText(own), byText(names))) return `the endpoints of ${apiKeyId}`;
    for (const [secretId, time] of key.secrets) {
      const id = toUuid(secretId);
      if (lastUses.get(id) !== Date.parse(time)) return `the last use of ${secretId}`;
      lastUses.delete(id);
    }
  }
  const [unused] = lastUses.keys();
  return unused ? `the last use of ${fromUuid('secret', unused)}` : null;
}

interface StoredTotals {
  readonly api_key_id: string;
  readonly uses: number;
  readonly denials: number;
  readonly used: number | null;
  readonly denied: number | null;
}

interface StoredEndpoints {
  readonly api_key_id: string;
  readonly management: boolean;
  readonly names: readonly string[];
}

interface StoredSecret {
  readonly id: string;
  readonly ms: number;
}

const TOTALS = `
  SELECT api_key_id, uses::float8 AS uses, denials::float8 AS denials, ${ms('last_used_at')} AS used,
         ${ms('last_denied_at')} AS denied
  FROM api_key_usage WHERE api_key_id = ANY($1)`;
const ENDPOINTS = 'SELECT api_key_id, management, names FROM api_key_endpoint WHERE api_key_id = ANY($1)';
/** Of all secrets of the keys, whether they were used or not. */
const SECRETS = `
  SELECT secret_id AS id, ${ms('last_used_at')} AS ms FROM api_key_secret_usage
  WHERE secret_id = ANY($2) OR secret_id IN (SELECT s.id FROM api_key_secret s WHERE s.api_key_id = ANY($1))`;

/** SQL: a time in whole milliseconds since 1970. Events have no finer times, which `Date.parse` would cut off. */
function ms(column: string): string {
  return `floor(extract(epoch FROM ${column}) * 1000)::float8`;
}

function msOf(time: string | null): number | null {
  return time === null ? null : Date.parse(time);
}

function byText(values: readonly unknown[]): string[] {
  return values.map((value) => JSON.stringify(value)).toSorted();
}

function isEqual(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
