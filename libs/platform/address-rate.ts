import ipaddr from 'ipaddr.js';
import { LRUCache } from 'lru-cache';

const WINDOW_MS = 60_000;
const MAX_ADDRESSES = 50_000;
/** About what a window takes, measured. */
const BYTES = 400;

/**
 * What one address may do in a minute, counted by each process for itself, so that it costs no statement. Of IPv6 a network
 * of 64 bits is one address, for that is what a subscriber has. Whoever has so many addresses that they drive each other
 * out of the memory needs no window to begin anew.
 */
export class AddressRate {
  readonly #windows = new LRUCache<string, { left: number }>({
    max: MAX_ADDRESSES,
    maxSize: MAX_ADDRESSES * BYTES,
    sizeCalculation: () => BYTES,
    ttl: WINDOW_MS,
    ttlResolution: 0,
    perf: { now: () => this.now() },
  });

  constructor(
    private readonly perMinute: number,
    private readonly now: () => number,
  ) {}

  /** @returns undefined when there was one left, else the seconds until there is one */
  take(ip: string | null): number | undefined {
    const key = networkOf(ip);
    const window = this.#windows.get(key);
    if (!window) this.#windows.set(key, { left: this.perMinute - 1 });
    else if (window.left === 0) return Math.max(1, Math.ceil(this.#windows.getRemainingTTL(key) / 1000));
    else window.left -= 1;
    return undefined;
  }
}

function networkOf(ip: string | null): string {
  if (ip === null) return 'unknown';
  if (!ip.includes(':') || !ipaddr.IPv6.isValid(ip)) return ip;
  return ipaddr.IPv6.parse(ip).parts.slice(0, 4).join(':');
}
