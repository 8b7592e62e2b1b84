import type { IncomingHttpHeaders } from 'node:http';
import { compile } from '@fastify/proxy-addr';
import { addressOf } from '#libs/contract/networks.js';
import type { Settings } from '../config.js';
import { recordedAddress } from '../personal-data.js';
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

/** Proxies add at least one of these. Programs that connect directly have no reason to send them. */
const FORWARDING = ['x-forwarded-for', 'forwarded', 'x-real-ip', 'x-forwarded-host', 'x-forwarded-proto'];

/** Whether a request says that it came through a proxy. */
export function wasForwarded(headers: IncomingHttpHeaders): boolean {
  return FORWARDING.some((name) => headers[name] !== undefined);
}

/** The proxies that TRUST_PROXY names. The service trusts only their statements about a request. */
export class Proxies {
  /** Proxies that TRUST_PROXY does not name. */
  readonly unknown = new UnknownProxies();
  readonly #includes: (address: string) => boolean;
  readonly #peers = new Map<string, boolean>();

  /** @param recorded how much of the address of a client a log line may have */
  constructor(
    networks: readonly string[] = [],
    private readonly recorded: Settings['RECORD_CLIENT_ADDRESS'] = 'full',
  ) {
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
   * The address of a connection, as a log line may name it. A peer that is not a named proxy may be a client: a client
   * can send the headers of a proxy and call the routes for gateways.
   */
  loggedAddressOf(peer: string | undefined): string | null {
    if (peer === undefined) return null;
    return this.has(peer) ? peer : recordedAddress(peer, this.recorded);
  }

  /** Notes a request that came through a proxy or gateway that TRUST_PROXY does not name. */
  noteUnknown(via: 'gateway' | 'api', peer: string | undefined): void {
    this.unknown.note(via, this.loggedAddressOf(peer));
  }

  /**
   * The client's address: the address of the connection, or, if that is a proxy of ours, the last entry in
   * `X-Forwarded-For` that is not one of our proxies. Null if that entry is not an address: its author also wrote the
   * entries to its left. Null also if a proxy of ours forwards the request without that header.
   */
  clientOf({ headers, socket: { remoteAddress: peer } }: Arrival): string | null {
    const forwarded = headers['x-forwarded-for'];
    if (peer === undefined) return null;
    if (!this.has(peer)) return addressOf(peer);
    if (typeof forwarded !== 'string') return wasForwarded(headers) ? null : addressOf(peer);
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
