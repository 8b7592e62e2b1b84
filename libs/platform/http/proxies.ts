import type { IncomingHttpHeaders } from 'node:http';
import { compile } from '@fastify/proxy-addr';
import { addressOf } from '#libs/contract/networks.js';
import { UnknownProxies } from './unknown-proxies.js';

/** What a request has that tells where it comes from. */
interface Arrival {
  readonly headers: IncomingHttpHeaders;
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** No chain of real proxies is longer. What is behind more of them is not known. */
const MAX_PROXIES = 20;
/** Peers are proxies, so there are few; a client that connects directly does not fill the memory. */
const MAX_REMEMBERED_PEERS = 1_000;

/** The proxies that TRUST_PROXY names: only what they say of a request counts. */
export class Proxies {
  /** Those that it does not name. */
  readonly unknown = new UnknownProxies();
  readonly #includes: (address: string) => boolean;
  readonly #peers = new Map<string, boolean>();

  constructor(networks: readonly string[] = []) {
    const includes = networks.length > 0 ? compile([...networks]) : () => false;
    this.#includes = (address) => includes(address, 0);
  }

  /** Whether the address of a connection is that of one of them. */
  has(peer: string | undefined): boolean {
    if (!peer) return false;
    const known = this.#peers.get(peer);
    if (known !== undefined) return known;
    const isNamed = this.#includes(peer);
    if (this.#peers.size < MAX_REMEMBERED_PEERS) this.#peers.set(peer, isNamed);
    return isNamed;
  }

  /**
   * The address of the client: that of the connection, or, from a proxy of ours, the last one in `X-Forwarded-For` that is
   * none of our proxies. Null where that is no address: what stands to the left of it was written by whoever wrote it.
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
