import ipaddr from 'ipaddr.js';
import { LRUCache } from 'lru-cache';

const WINDOW_MS = 60_000;
const MAX_ADDRESSES = 50_000;
/** Measured size of one window, about. */
const BYTES = 400;

/**
 * Limits how often one address may act in a minute. Each process counts on its own, so a check needs no statement. An
 * IPv6 network of 64 bits counts as one address, because a subscriber gets that much. Eviction helps no caller: one
 * with so many addresses that they evict each other does not need a new window.
 */
export class AddressRate {
  readonly #windows = new LRUCache<string, { left: number; readonly endsAt: number }>({
    maxSize: MAX_ADDRESSES * BYTES,
    sizeCalculation: () => BYTES,
  });

  constructor(
    private readonly perMinute: number,
    private readonly now: () => number,
  ) {}

  /** @returns undefined if the address had one left, else the seconds until it has one */
  take(ip: string | null): number | undefined {
    const key = subscriberOf(ip);
    const window = this.#windows.get(key);
    const now = this.now();
    // After the clock was set back, start a new window: otherwise the address would wait as long as the clock went
    // back.
    const isOpen = window && now < window.endsAt && now >= window.endsAt - WINDOW_MS;
    if (!isOpen) this.#windows.set(key, { left: this.perMinute - 1, endsAt: now + WINDOW_MS });
    else if (window.left === 0) return Math.max(1, Math.ceil((window.endsAt - now) / 1000));
    else window.left -= 1;
    return undefined;
  }
}

/** Whom an address belongs to, as far as limits are concerned: the address, or the IPv6 network of 64 bits. */
export function subscriberOf(ip: string | null): string {
  if (ip === null) return 'unknown';
  if (!ip.includes(':') || !ipaddr.IPv6.isValid(ip)) return ip;
  return ipaddr.IPv6.parse(ip).parts.slice(0, 4).join(':');
}
