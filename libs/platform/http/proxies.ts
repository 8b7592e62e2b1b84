import type { IncomingHttpHeaders } from 'node:http';
import { compile } from '@fastify/proxy-addr';
import { addressOf } from '#libs/contract/networks.js';
import { UnknownProxies } from './unknown-proxies.js';

/** The parts of a request that tell where it comes from. */
interface Arrival {
  readonly headers: IncomingHttpHeaders;
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** Longer than any chain of real proxies. Addresses beyond it are unknown. */
const MAX_PROXIES = 20;
/** Peers are proxies, so there are few. The limit keeps clients that connect directly from filling the memory. */
const MAX_REMEMBERED_PEERS = 1_000;

/** The proxies that TRUST_PROXY names. The service trusts only their statements about a request. */
export class Proxies {
  /** Proxies that TRUST_PROXY does not name. */
  readonly unknown = new UnknownProxies();
  readonly #includes: (address: string) => boolean;
  readonly #peers = new Map<string, boolean>();

  constructor(networks: readonly string[] = []) {
    const includes = networks.length > 0 ? compile([...networks]) : () => false;
    this.#includes = (address) => includes(address, 0);
  }

  /** Whether the address of a connection belongs to a named proxy. */
  has(peer: string | undefined): boolean {
    if (!peer) return false;
    const known = this.#peers.get(peer);
    if (known !== undefined) return known;
    const isNamed = this.#includes(peer);
    if (this.#peers.size < MAX_REMEMBERED_PEERS) this.#peers.set(peer, isNamed);
    return isNamed;
  }

  /**
   * The client's address: the address of the connection, or, if that is a proxy of ours, the last entry in
   * `X-Forwarded-For` that is not one of our proxies. Null if that entry is not an address: its author also wrote the
   * entries to its left.
   */
  clientOf({ headers, socket: { remoteAddress: peer } }: Arrival): string | null {
    const forwarded = headers['x-forwarded-for'];
    if (typeof forwarded !== 'string' || !this.has(peer)) return peer === undefined ? null : addressOf(peer);
    let end = forwarded.length;
    for (let proxies = 0; proxies < MAX_PROXIES; proxies++) {
      const comma = forwarded.lastIndexOf(',', end - 1);
      const address = addressOf(forwarded.slice(comma + 1, end));
      if (address === null || comma === -1 || !this.#includes(address)) return address;
      end = comma;
    }
    return null;
  }
}
