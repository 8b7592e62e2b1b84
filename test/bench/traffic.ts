import { newId } from '#libs/contract/ids.js';
import type { UsedKey, UseRecord } from '#libs/contract/use-records.js';

/** A fixed profile of uses: the same in each run, except for the ids of organizations and keys. */
export interface Traffic {
  readonly name: 'partner' | 'consumer' | 'many';
  /** The n-th use. */
  use(n: number): UseRecord;
  /** When the first use happens. */
  readonly startedAt: Date;
  /** A key of an organization with the most uses. */
  readonly frequentKey: UsedKey;
}

/** Uses a second of all keys together, by the times of the events. */
export const USES_A_SECOND = 1_000;
/** The address of a few uses, always of the frequent key. */
export const RARE_ADDRESS = '198.18.7.7';
/** The address of no use. */
export const ABSENT_ADDRESS = '198.18.9.9';
/** One use in so many has the rare address. */
const RARE_EVERY = 50_000;
/** The log that is read has a part of the uses only. */
const RARE_EVERY_OF_MANY = 500_000;
const PARTNER_AGENTS = [
  'python-requests/2.32.3',
  'okhttp/4.12.0',
  'Go-http-client/2.0',
  'axios/1.7.9',
  'Apache-HttpClient/5.4.1 (Java/21.0.5)',
];
const PLATFORMS = [
  'Windows NT 10.0; Win64; x64',
  'Macintosh; Intel Mac OS X 10_15_7',
  'X11; Linux x86_64',
  'Linux; Android 10; K',
  'iPhone; CPU iPhone OS 18_1 like Mac OS X',
];
const CONSUMER_AGENTS = Array.from({ length: 200 }, (_, n) => {
  const version = 100 + Math.floor(n / PLATFORMS.length);
  return `Mozilla/5.0 (${PLATFORMS[n % PLATFORMS.length]}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version}.0.0.0 Safari/537.36`;
});
const RESOURCES = ['agents', 'triggers', 'runs', 'feeds', 'reports', 'webhooks', 'alerts', 'orders', 'models', 'tags'];
/** 30 endpoints: the list, one item and a list of an item of each resource. */
const ENDPOINTS = RESOURCES.flatMap((resource) => [
  { method: 'POST', path: () => `/v1/${resource}` },
  { method: 'GET', path: (id: string) => `/v1/${resource}/${id}` },
  { method: 'GET', path: (id: string) => `/v1/${resource}/${id}/events` },
]);
/** Partners use few items. */
const PARTNER_ITEMS = 500;

/**
 * Servers of partners: each key has two addresses, the second one for a tenth of its uses, and one user agent. The uses
 * of the organizations follow Zipf's law, those of the keys of an organization are equally frequent.
 */
export function partnerTraffic(organizations: readonly (readonly UsedKey[])[], startedAt: Date): Traffic {
  const random = new Random(1);
  const shares = organizations.map((_, n) => 1 / (n + 1));
  const all = shares.reduce((sum, share) => sum + share, 0);
  const next = () => {
    let place = random.next() * all;
    return organizations[shares.findIndex((share) => (place -= share) < 0)] ?? organizations[0]!;
  };
  return serverTraffic('partner', organizations, startedAt, random, next, RARE_EVERY);
}

/** The same servers, of many organizations with equally many uses. */
export function trafficOfMany(organizations: readonly (readonly UsedKey[])[], startedAt: Date): Traffic {
  const random = new Random(3);
  return serverTraffic('many', organizations, startedAt, random, () => random.of(organizations), RARE_EVERY_OF_MANY);
}

function serverTraffic(
  name: Traffic['name'],
  organizations: readonly (readonly UsedKey[])[],
  startedAt: Date,
  random: Random,
  nextOrganization: () => readonly UsedKey[],
  rareEvery: number,
): Traffic {
  const numbers = new Map(organizations.flat().map((key, n) => [key, n]));
  const frequentKey = organizations[0]![0]!;
  return {
    name,
    startedAt,
    frequentKey,
    use: (n) => {
      const organization = nextOrganization();
      const key = isRare(n, rareEvery) ? frequentKey : random.of(organization);
      const number = numbers.get(key)!;
      const address = `203.0.${number >> 3}.${((number & 7) << 1) + (random.next() < 0.1 ? 1 : 0)}`;
      const { method, path } = random.of(ENDPOINTS);
      return useOf(key, n, startedAt, {
        ip: isRare(n, rareEvery) ? RARE_ADDRESS : address,
        userAgent: PARTNER_AGENTS[number % PARTNER_AGENTS.length]!,
        method,
        path: path(String(1_000 + random.below(PARTNER_ITEMS))),
        pageOrigin: null,
      });
    },
  };
}

/** Browsers and phones with public keys: each use has a new address, every third one of IPv6, and a UUID in its path. */
export function consumerTraffic(keys: readonly UsedKey[], startedAt: Date): Traffic {
  const random = new Random(2);
  const frequentKey = keys[0]!;
  const endpoints = ENDPOINTS.filter(({ method }) => method === 'GET');
  return {
    name: 'consumer',
    startedAt,
    frequentKey,
    use: (n) => {
      const isFromRare = isRare(n, RARE_EVERY);
      const key = isFromRare ? frequentKey : random.of(keys);
      const { method, path } = random.of(endpoints);
      const address = n % 3 === 2 ? `2001:db8:${random.hextets(6)}` : unusedAddress(n);
      return useOf(key, n, startedAt, {
        ip: isFromRare ? RARE_ADDRESS : address,
        userAgent: random.of(CONSUMER_AGENTS),
        method,
        path: path(random.uuid()),
        pageOrigin: 'https://shop.example.com',
      });
    },
  };
}

function useOf(
  key: UsedKey,
  n: number,
  startedAt: Date,
  differing: Pick<UseRecord, 'ip' | 'userAgent' | 'method' | 'path' | 'pageOrigin'>,
): UseRecord {
  const at = startedAt.getTime() + Math.floor((n * 1000) / USES_A_SECOND);
  return {
    key,
    at,
    seq: 42,
    requestId: newId('req', new Date(at)),
    cost: 1,
    scopes: ['triggers:read'],
    ...differing,
  };
}

function isRare(n: number, every: number): boolean {
  return n % every === every / 2;
}

/** Multiplication with an odd number permutes the numbers of 32 bits, so no address comes twice. */
function unusedAddress(n: number): string {
  const bits = Math.imul(n, 2_654_435_761);
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');
}

/** Pseudo-random numbers that are the same in each run (mulberry32). */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** A number from 0 to below 1. */
  next(): number {
    return this.#bits() / 2 ** 32;
  }

  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  /** A UUID of version 7. */
  uuid(): string {
    const hex = Array.from({ length: 4 }, () => this.#bits().toString(16).padStart(8, '0')).join('');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
  }

  /** Parts of an IPv6 address, none of them 0. */
  hextets(count: number): string {
    return Array.from({ length: count }, () => (1 + this.below(65_535)).toString(16)).join(':');
  }

  #bits(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return (bits ^ (bits >>> 14)) >>> 0;
  }
}
