import ipaddr from 'ipaddr.js';
import { LRUCache } from 'lru-cache';

const WINDOW_MS = 60_000;
const MAX_ADDRESSES = 50_000;
/** About what a window takes, measured. */
const BYTES = 400;

/**
 * What one address may do in a minute, counted by each process for itself, so that it costs no statement. Of IPv6 a network
 * of 64 bits is one address, for that is what a subscriber has. A caller with so many addresses that they evict each other
 * has no need of a new window.
 */
export class AddressRate {
  readonly #windows = new LRUCache<string, { left: number; readonly endsAt: number }>({
    max: MAX_ADDRESSES,
    maxSize: MAX_ADDRESSES * BYTES,
    sizeCalculation: () => BYTES,
  });

  constructor(
    private readonly perMinute: number,
    private readonly now: () => number,
  ) {}

  /** @returns undefined when there was one left, else the seconds until there is one */
  take(ip: string | null): number | undefined {
    const key = networkOf(ip);
    const window = this.#windows.get(key);
    const now = this.now();
    // A clock that was set back begins a window anew, or an address would wait for as long as it went back.
    const isOpen = window && now < window.endsAt && now >= window.endsAt - WINDOW_MS;
    if (!isOpen) this.#windows.set(key, { left: this.perMinute - 1, endsAt: now + WINDOW_MS });
    else if (window.left === 0) return Math.max(1, Math.ceil((window.endsAt - now) / 1000));
    else window.left -= 1;
    return undefined;
  }
}

function networkOf(ip: string | null): string {
  if (ip === null) return 'unknown';
  if (!ip.includes(':') || !ipaddr.IPv6.isValid(ip)) return ip;
  return ipaddr.IPv6.parse(ip).parts.slice(0, 4).join(':');
}
