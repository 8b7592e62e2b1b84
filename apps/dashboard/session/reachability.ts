import { onlineManager } from '@tanstack/react-query';
import { ApiError } from '#libs/client/client.js';
import type { RouteOutput } from '#libs/contract/route.js';
import type { ready } from '#libs/contract/system.js';

/** There was no response, or it did not come from Keyledger itself. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';
}

const FIRST_PROBE_MS = 1000;
const LONGEST_WAIT_MS = 30_000;

let probing: Promise<void> | undefined;

/** Whether a later attempt can succeed. Without `Retry-After`, a person must act first. */
export function isAway(error: unknown): boolean {
  return (
    error instanceof Unreachable ||
    (error instanceof ApiError && error.problem.status === 503 && error.headers.has('retry-after'))
  );
}

/** A `fetch` that detects an unreachable server; queries then wait until it is reachable again. */
export async function reachingFetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const response = await fetch(input, init).catch((error: unknown) => {
    if (init?.signal?.aborted) throw error;
    return undefined;
  });
  if (response && ![502, 503, 504].includes(response.status)) return response;
  const isOurs = response?.headers.get('content-type')?.startsWith('application/problem+json');
  if (!isOurs || response!.headers.has('retry-after')) void untilReachable();
  if (isOurs) return response!;
  throw new Unreachable();
}

/** Shows that the server is away, and waits until it is back. */
export function untilReachable(): Promise<void> {
  probing ??= probe().finally(() => {
    probing = undefined;
  });
  return probing;
}

async function probe(): Promise<void> {
  onlineManager.setOnline(false);
  for (let wait = FIRST_PROBE_MS; !(await isReachable()); wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    // Random delays keep several browsers from reconnecting at the same moment.
    await new Promise((resolve) => setTimeout(resolve, wait * (0.75 + Math.random() / 2)));
  }
  onlineManager.setOnline(true);
}

/** Without its database, a server with `ON_OUTAGE=allow` only verifies keys, which is of no use here. */
export async function isReachable(): Promise<boolean> {
  try {
    const response = await fetch('/health/ready');
    const { checks } = (await response.json()) as RouteOutput<typeof ready>;
    return response.ok && checks.database.status === 'ok';
  } catch {
    return false;
  }
}
