import { isIPv4 } from 'node:net';
import { crc32 } from 'node:zlib';
import { isId, isOwnRequestId } from '#libs/contract/ids.js';
import { addressOf, networkOf } from '#libs/contract/networks.js';
import { foldPath, isKeptWhole } from '#libs/platform/folded-path.js';
import { NETWORK_BITS } from '#libs/platform/personal-data.js';
import { wantedWithTerms, type AuditFilter } from './audit-filter.js';
import type { AuditColumns } from './audit-columns.js';

/**
 * Search terms: 32-bit hashes of the values by which uses and denials are searched. A bundle has the terms of all its
 * entries, so an index finds the bundles that may have a match. Each of their entries is then compared exactly, because
 * different values can have the same hash. Terms are salted with the organization. By shared terms, which are not,
 * operators find the organizations that have a value.
 */

/** What the terms are about. The order is stored: append only. */
const ATTRIBUTES = [
  'type',
  'outcome',
  'key',
  'actor',
  'verifier',
  'secret',
  'project',
  'address',
  'network',
  'path',
  'request',
  'shared address',
  'shared network',
  'shared request',
  'shared verifier',
] as const;
type Attribute = (typeof ATTRIBUTES)[number];
const PLACE = Object.fromEntries(ATTRIBUTES.map((attribute, place) => [attribute, place])) as Record<Attribute, number>;

const ADDRESS_PLACES = [PLACE.address, PLACE.network, PLACE['shared address'], PLACE['shared network']];

/** Most terms of an attribute. If a bundle has more, it gets one term instead that matches every search. */
const MAX_TERMS = 128;

/** A path is searched by its first segments: `/v1/agents/42` by `/v1`, `/v1/agents` and `/v1/agents/:id`. */
const MAX_DEPTH = 3;

type Value = readonly [Attribute, string];

export interface EncodedTerms {
  readonly terms: readonly number[];
  /** How many of them belong to each attribute. */
  readonly counts: readonly number[];
}

/**
 * The terms of several events. They depend only on the events, not on the order or the segments in which they came: an
 * attribute with too many values in a segment also has too many in the bundle.
 */
export class Terms {
  readonly #terms = ATTRIBUTES.map(() => new Set<number>());
  /** The values of each attribute that were added: events repeat nearly all of them. */
  readonly #values = ATTRIBUTES.map(() => new Set<string>());
  /** The addresses that were added, as the events have them: parsing one takes longer than all else here. */
  readonly #addresses = new Set<string>();
  /** The paths that were added, without ids. */
  readonly #paths = new Set<string>();
  readonly #salts: readonly number[];
  /** For each attribute, the term of too many values. */
  readonly #any: readonly number[];

  constructor(organizationId: string) {
    this.#salts = ATTRIBUTES.map((attribute) => saltOf(organizationId, attribute));
    this.#any = this.#salts.map((salt) => termOf(ANY, salt));
  }

  /** Adds the terms of a use or a denial. */
  add(columns: AuditColumns): void {
    const { type, subject, outcome, actorId, projectId, ip, path, secretIds, verifierIds, requestIds } = columns;
    this.#add('type', type);
    this.#add('key', subject);
    this.#add('outcome', outcome);
    // Nearly always the key itself.
    if (actorId !== subject) this.#add('actor', actorId);
    this.#add('project', projectId);
    for (const id of secretIds) this.#add('secret', id);
    for (const id of verifierIds) {
      this.#add('verifier', id);
      this.#add('shared verifier', id);
    }
    for (const id of requestIds) {
      // Our own ids contain their time, by which their bundle is found.
      if (isOwnRequestId(id)) continue;
      this.#add('request', id);
      this.#add('shared request', id);
    }
    if (ip !== null) this.#addAddress(ip);
    if (path !== null && !this.#isFull(PLACE.path)) this.#addPath(foldPath(path));
  }

  /** Adds the terms of a segment. */
  merge({ terms, counts }: EncodedTerms): void {
    let from = 0;
    for (const [n, count] of counts.entries()) {
      for (const term of terms.slice(from, from + count)) this.#addTerm(n, term);
      from += count;
    }
  }

  encode(): EncodedTerms {
    return { terms: this.#terms.flatMap((terms) => [...terms]), counts: this.#terms.map(({ size }) => size) };
  }

  #addAddress(address: string): void {
    // Where every use has another address, most need not be parsed.
    if (this.#addresses.has(address) || ADDRESS_PLACES.every((place) => this.#isFull(place))) return;
    this.#addresses.add(address);
    const [notation, network] = valuesOf(address);
    this.#add('address', notation);
    this.#add('network', network);
    this.#add('shared address', notation);
    this.#add('shared network', network);
  }

  #addPath(folded: string): void {
    if (this.#paths.has(folded)) return;
    this.#paths.add(folded);
    for (const beginning of beginningsOf(folded)) this.#add('path', beginning);
  }

  #add(attribute: Attribute, value: string | null): void {
    if (value === null) return;
    const place = PLACE[attribute];
    const values = this.#values[place]!;
    if (values.has(value) || this.#isFull(place)) return;
    values.add(value);
    this.#addTerm(place, termOf(value, this.#salts[place]!));
  }

  /** Whether there were too many values, so that no further term matters. */
  #isFull(place: number): boolean {
    return this.#terms[place]!.has(this.#any[place]!);
  }

  #addTerm(place: number, term: number): void {
    if (this.#isFull(place)) return;
    const terms = this.#terms[place]!;
    const any = this.#any[place]!;
    terms.add(term);
    if (term !== any && terms.size <= MAX_TERMS) return;
    terms.clear();
    terms.add(any);
  }
}

/** The hash of a value begins with the salt, so the same value has another term in another organization. */
function saltOf(organizationId: string, attribute: Attribute): number {
  return crc32(attribute.startsWith('shared ') ? `${attribute} ` : `${organizationId} ${attribute} `);
}

/** As a signed number, which PostgreSQL's integers are. */
function termOf(value: string, salt: number): number {
  return crc32(value, salt) | 0;
}

/** Stands for any value, in a bundle that has too many of them. No value contains NUL. */
const ANY = '\0';

const SHARED_ADDRESS = saltOf('', 'shared address');
const SHARED_NETWORK = saltOf('', 'shared network');
const SHARED_REQUEST = saltOf('', 'shared request');

/** IPv6 without a zero to shorten: what precedes the last five groups is the network. */
const FULL_IPV6 = /^((?:[1-9a-f][\da-f]{0,3}:){3})(?:[1-9a-f][\da-f]{0,3}:){4}[1-9a-f][\da-f]{0,3}$/;

/** The address or the network of an event, and the network by which it is searched. */
function valuesOf(address: string): readonly [string, string] {
  const [, beginning] = FULL_IPV6.exec(address) ?? [];
  if (beginning) return [address, `${beginning}:/${NETWORK_BITS.ipv6}`];
  const notation = oneNotationOf(address);
  const network = searchedNetworkOf(address);
  // A network of another size: nothing writes one, but an event may have it.
  return network === null || (address.includes('/') && notation !== network) ? [ANY, ANY] : [notation, network];
}

/** The terms in the row of a management event. They are shared, so that operators find the organizations. */
export function rowTermsOf({ ip, requestIds }: AuditColumns): number[] {
  const [address, network] = ip === null ? [] : valuesOf(ip);
  const terms = requestIds.map(requestTermOf);
  if (address && network) terms.unshift(termOf(address, SHARED_ADDRESS), termOf(network, SHARED_NETWORK));
  return [...new Set(terms)];
}

/** The term of a request id in the row of a management event. */
export function requestTermOf(requestId: string): number {
  return termOf(requestId, SHARED_REQUEST);
}

/** Equal addresses as equal texts. Only IPv6 has several notations, and parsing takes long. */
function oneNotationOf(address: string): string {
  return address.includes(':') && !address.includes('/') ? (addressOf(address) ?? address) : address;
}

/** The network by which an address is searched. */
function searchedNetworkOf(address: string): string | null {
  if (isIPv4(address)) return `${address.slice(0, address.lastIndexOf('.'))}.0/24`;
  return networkOf(address, NETWORK_BITS);
}

/**
 * The terms that a bundle must have to contain a use or a denial that matches: at least one of each list. Empty: any
 * bundle may. Null: none can.
 */
export function termsOf(organizationId: string, filter: AuditFilter): readonly (readonly number[])[] | null {
  const { outcomes, keyId, actorId, subject, secretId, verifiedBy, projectIds, ip, path, requestId } = filter;
  const wantedTypes = wantedWithTerms(filter);
  if (wantedTypes.length === 0 || (subject && !isId('key', subject))) return null;
  const lists: Value[][] = [];
  const all = (attribute: Attribute, values: readonly (string | null | undefined)[]) => {
    const present = values.filter((value) => typeof value === 'string');
    if (present.length > 0) lists.push(present.map((value) => [attribute, value]));
  };
  if (wantedTypes.length === 1) all('type', wantedTypes);
  all('outcome', outcomes ?? []);
  all('key', [keyId]);
  all('key', [subject]);
  all('secret', [secretId]);
  all('verifier', [verifiedBy]);
  for (const id of projectIds ?? []) all('project', [id]);
  if (actorId) lists.push([['actor', actorId], ...(isId('key', actorId) ? [['key', actorId] as const] : [])]);
  if (ip) lists.push(...addressLists(ip));
  if (path) all('path', [completeBeginningOf(path)]);
  if (requestId && !isOwnRequestId(requestId)) all('request', [requestId]);
  return lists.map((values) => hashesOf(organizationId, values));
}

/**
 * The shared terms of a value that operators look for: a bundle or a row that has it has one of them. Null if its value
 * has no term: for a wide network.
 */
export function sharedTermsOf({ ip, requestId, verifiedBy }: AuditFilter): readonly number[] | null {
  const values = ip ? addressLists(ip)[0] : [['request', requestId] as const, ['verifier', verifiedBy] as const];
  const present = values?.flatMap(([attribute, value]) =>
    typeof value === 'string' ? [[`shared ${attribute}` as Attribute, value] as const] : [],
  );
  return present ? hashesOf('', present) : null;
}

function hashesOf(organizationId: string, values: readonly Value[]): readonly number[] {
  const terms = values.flatMap(([attribute, value]) => {
    const salt = saltOf(organizationId, attribute);
    return [termOf(value, salt), termOf(ANY, salt)];
  });
  return [...new Set(terms)];
}

/** A recorded network matches each address in it, so the search for an address also looks for the network. */
function addressLists(ip: string): Value[][] {
  const network = networkOf(ip, NETWORK_BITS);
  const length = Number(ip.split('/')[1] ?? Infinity);
  const isWide = length < NETWORK_BITS[ip.includes(':') ? 'ipv6' : 'ipv4'];
  if (network === null || isWide) return [];
  const isSingle = length === Infinity;
  return isSingle
    ? [
        [
          ['address', ip],
          ['address', network],
        ],
      ]
    : [[['network', network]]];
}

/** The first segments of a folded path. */
function beginningsOf(folded: string): string[] {
  const beginnings: string[] = [];
  for (let end = folded.indexOf('/'); end !== -1 && beginnings.length < MAX_DEPTH;) {
    end = folded.indexOf('/', end + 1);
    beginnings.push(end === -1 ? folded : folded.slice(0, end));
  }
  return beginnings;
}

/** The longest beginning of a path that every path with this beginning has. Its last segment may be incomplete. */
function completeBeginningOf(path: string): string | null {
  const complete = path.slice(0, path.lastIndexOf('/'));
  return complete === '' ? null : (beginningsOf(foldPath(complete)).findLast(isKeptWhole) ?? null);
}
