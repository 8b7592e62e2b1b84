import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, createClient, type Client } from '#libs/client/client.js';
import type { DomainEventType } from '#libs/contract/events.js';

/** What the client knows of an effect: it happened, it did not happen, or there was no response that says so. */
type Told = 'yes' | 'no' | 'nothing';

/** An effect of a request on a key. The audit log has to contain it if the client was told "yes". */
interface Effect {
  readonly type: DomainEventType;
  readonly keyId: string;
  readonly told: Told;
}

export interface Call {
  readonly requestId: string;
  /** By the client's monotonic clock. */
  readonly begunAt: number;
  readonly effects: readonly Effect[];
}

export interface Key {
  readonly id: string;
  readonly token: string;
}

/** The client's own record of its requests and their responses, independent of everything that the service stores. */
export class Ledger {
  readonly calls: Call[] = [];
  /** How often each kind of response came. */
  readonly responses = new Map<string, number>();

  /** Calls whoami with the key, which is a use of the key. */
  async whoami(url: string, key: Key): Promise<Told> {
    const call = await this.#call(url, key.token, (client) => client.auth.whoami());
    this.#note(call, [{ type: 'api_key.used', keyId: key.id, told: call.told }]);
    return call.told;
  }

  /** Verifies the key, which is a use if the key is good. The event of the use or denial also records who asked. */
  async verify(url: string, asking: Key, key: Key): Promise<Told> {
    const call = await this.#call(url, asking.token, (client) => client.apiKeys.verify({ body: { key: key.token } }));
    const told = call.response ? (call.response.valid ? 'yes' : 'no') : call.told;
    this.#note(call, [{ type: 'api_key.used', keyId: key.id, told }]);
    return told;
  }

  /** @returns the key with its new secret, if the response came. */
  async rotate(url: string, accessToken: string, key: Key): Promise<Key | undefined> {
    const call = await this.#call(url, accessToken, (client) => client.apiKeys.rotate({ params: { id: key.id } }));
    this.#note(call, [{ type: 'api_key.rotated', keyId: key.id, told: call.told }]);
    return call.response && { id: key.id, token: call.response.key };
  }

  /** @returns whether the response came. */
  async delete(url: string, accessToken: string, key: Key): Promise<boolean> {
    const call = await this.#call(url, accessToken, (client) => client.apiKeys.delete({ params: { id: key.id } }));
    this.#note(call, [{ type: 'api_key.revoked', keyId: key.id, told: call.told }]);
    return call.told === 'yes';
  }

  count(told: Told): number {
    return this.calls.reduce((sum, call) => sum + call.effects.filter((effect) => effect.told === told).length, 0);
  }

  async #call<T>(baseUrl: string, credential: string, send: (client: Client) => Promise<T>) {
    const requestId = randomUUID();
    const client = createClient({ baseUrl, accessToken: credential, headers: { 'X-Request-Id': requestId } });
    const begunAt = performance.now();
    try {
      return { requestId, begunAt, response: await send(client), told: 'yes' as const, kind: 'success' };
    } catch (error) {
      const status = error instanceof ApiError ? error.problem.status : undefined;
      // A 4xx is a rejection. After a 5xx, or without a response, the effect may have happened.
      const told = status !== undefined && status < 500 ? ('no' as const) : ('nothing' as const);
      return { requestId, begunAt, told, kind: error instanceof ApiError ? error.problem.code : 'no response' };
    }
  }

  #note({ requestId, begunAt, kind }: { requestId: string; begunAt: number; kind: string }, effects: Effect[]): void {
    this.calls.push({ requestId, begunAt, effects });
    this.responses.set(kind, (this.responses.get(kind) ?? 0) + 1);
  }
}

/** An organization with keys of each kind that the load needs. */
export interface Customer {
  readonly organizationId: string;
  readonly accessToken: string;
  readonly verifier: Key;
  readonly key: Key;
  /** The load rotates this key now and then, and never uses it. */
  readonly rotating: Key;
  /** A key with a secret that a rotation replaced. */
  readonly dead: Key;
}

export async function openCustomer(url: string): Promise<Customer> {
  const email = `${randomUUID()}@example.com`;
  const password = `quiet ${randomUUID()} harbour`;
  const { organization } = await createClient({ baseUrl: url }).auth.register({
    body: { email, password, name: 'Ada Lovelace' },
  });
  const { access_token } = await createClient({ baseUrl: url }).auth.login({ body: { email, password } });
  const client = createClient({ baseUrl: url, accessToken: access_token });
  const make = async (...scopes: string[]): Promise<Key> => {
    const { id, key } = await client.apiKeys.create({ body: { name: 'Under load', scopes } });
    return { id, token: key };
  };
  const dead = await make('triggers:read');
  await client.apiKeys.rotate({ params: { id: dead.id } });
  return {
    organizationId: organization.id,
    accessToken: access_token,
    verifier: await make('api-keys:verify'),
    key: await make('triggers:read'),
    rotating: await make('triggers:read'),
    dead,
  };
}

const CALLERS = 6;
const CHANGE_EVERY_MS = 150;
/** The pause after a lost response, so that a node that is down does not get thousands of requests a second. */
const AFTER_A_LOSS_MS = 50;

/**
 * Sends requests of every customer to every node, with many callers at once, until stopped.
 * @param pauseMs of each caller after each response
 */
export function startLoad(
  ledger: Ledger,
  urls: readonly string[],
  customers: readonly Customer[],
  pauseMs = 0,
): () => Promise<void> {
  const stopping = new AbortController();
  let turn = 0;
  const next = <T>(list: readonly T[]): T => list[turn++ % list.length]!;

  const caller = async (index: number) => {
    const { verifier, key, dead } = customers[index % customers.length]!;
    for (let n = index; !stopping.signal.aborted; n++) {
      const asked = n % 10 === 0 ? dead : key;
      const told = await (n % 3 === 0 ? ledger.verify(next(urls), verifier, asked) : ledger.whoami(next(urls), asked));
      if (told === 'nothing') await sleep(AFTER_A_LOSS_MS);
      else if (pauseMs > 0) await sleep(pauseMs);
    }
  };
  const changer = async () => {
    while (!stopping.signal.aborted) {
      const { accessToken, rotating } = next(customers);
      await ledger.rotate(next(urls), accessToken, rotating);
      await sleep(CHANGE_EVERY_MS);
    }
  };
  const running = Promise.all([changer(), ...Array.from({ length: CALLERS }, (_, index) => caller(index))]);
  return async () => {
    stopping.abort();
    await running;
  };
}
