import { z } from 'zod';
import type { EventEnvelope } from '#libs/contract/events.js';
import { idOf, isId } from '#libs/contract/ids.js';
import { endpointOf, OTHER_ENDPOINTS } from './endpoint.js';

/** What an event adds to the counts of a key. */
export interface CountedEvent {
  readonly apiKeyId: string;
  /** For a use; null if the caller presented only the public key. */
  readonly secretId: string | null;
  readonly organizationId: string;
  readonly projectId: string | null;
  /** Whether the request was to Keyledger's own API rather than to the API of the deployment's owner. */
  readonly management: boolean;
  readonly time: string;
  /** `valid`, or the code of the denial. */
  readonly outcome: string;
  readonly endpoint: string;
  readonly count: number;
  readonly credits: number;
}

const MAX_CODE = 100;

/** Looser than the event schemas, so that an older worker can count the events of a newer API. */
const Counted = z.object({
  subject: idOf('key'),
  data: z.object({
    project_id: idOf('proj').nullish(),
    surface: z.string().optional(),
    method: z.string().nullable(),
    path: z.string().nullable(),
    summary: z.boolean().optional(),
  }),
});
const UsedData = Counted.shape.data.extend({ cost: z.int().min(0), secret_id: idOf('secret').nullish() });
const DeniedData = Counted.shape.data.extend({ code: z.string().max(MAX_CODE), count: z.int().min(1) });
export const Used = Counted.extend({ data: UsedData });
export const Denied = Counted.extend({ data: DeniedData });

type Fields<Data> = { readonly [Field in keyof Data]: unknown };

/**
 * Pure: what an event adds to the counts, if the event counts.
 * @throws z.ZodError if it is not as {@link Used} and {@link Denied} say
 */
export function readCounted(envelope: EventEnvelope): CountedEvent | undefined {
  // The schemas take several times as long as the functions that check the same, and every verification is an event.
  if (envelope.type === 'api_key.used') {
    const data: unknown = envelope.data;
    if (!isId('key', envelope.subject) || !isUsedData(data as Fields<UsedData>)) Used.parse(envelope);
    const { cost, secret_id: secretId = null } = data as UsedData;
    return countedOf(envelope, data as UsedData, 'valid', secretId, 1, cost);
  }
  if (envelope.type === 'api_key.denied') {
    const data: unknown = envelope.data;
    if (!isId('key', envelope.subject) || !isDeniedData(data as Fields<DeniedData>)) Denied.parse(envelope);
    const { code, count } = data as DeniedData;
    return countedOf(envelope, data as DeniedData, code, null, count, 0);
  }
  return undefined;
}

type CountedData = z.infer<typeof Counted.shape.data>;
type UsedData = z.infer<typeof UsedData>;
type DeniedData = z.infer<typeof DeniedData>;

function isUsedData(data: Fields<UsedData>): boolean {
  return isCountedData(data) && isIntegerFrom(0, data.cost) && isIdOrNone('secret', data.secret_id);
}

function isDeniedData(data: Fields<DeniedData>): boolean {
  const { code } = data;
  return isCountedData(data) && typeof code === 'string' && code.length <= MAX_CODE && isIntegerFrom(1, data.count);
}

function isCountedData({ project_id: projectId, surface, method, path, summary }: Fields<CountedData>): boolean {
  return (
    (method === null || typeof method === 'string') &&
    (path === null || typeof path === 'string') &&
    (surface === undefined || typeof surface === 'string') &&
    (summary === undefined || typeof summary === 'boolean') &&
    isIdOrNone('proj', projectId)
  );
}

function isIntegerFrom(least: number, value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least;
}

function isIdOrNone(type: 'proj' | 'secret', value: unknown): boolean {
  return value === undefined || value === null || isId(type, value);
}

function countedOf(
  { subject, time, data: { organization_id: organizationId } }: EventEnvelope,
  data: CountedData,
  outcome: string,
  secretId: string | null,
  count: number,
  credits: number,
): CountedEvent {
  return {
    apiKeyId: subject,
    secretId,
    organizationId,
    projectId: data.project_id ?? null,
    management: data.surface === 'management',
    time,
    outcome,
    // The requests of a summary had endpoints, but the summary does not name them.
    endpoint: data.summary ? OTHER_ENDPOINTS : endpointOf(data),
    count,
    credits,
  };
}
