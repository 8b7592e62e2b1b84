import { Logger } from '@nestjs/common';
import { PlainCounter } from '../metrics.js';
import { Seldom } from '../seldom.js';

const WARN_EVERY_MS = 5 * 60_000;
/** How long the readiness endpoint reports such a request. */
const TELL_FOR_MS = 15 * 60_000;
/** Every sender of `X-Forwarded-For` counts as a proxy, so their number is unbounded. */
const MAX_NAMED = 10;

const requests = new PlainCounter(
  'keyledger_unknown_proxy_requests_total',
  'Requests from a proxy or gateway that TRUST_PROXY does not name',
  ['via'],
);
const counts = { gateway: requests.of({ via: 'gateway' }), api: requests.of({ via: 'api' }) };

/**
 * Warns operators about proxies and gateways that TRUST_PROXY does not name: the service knows nothing about the
 * clients behind them.
 */
export class UnknownProxies {
  readonly #logger = new Logger(UnknownProxies.name);
  readonly #warning: Seldom;
  readonly #peers = new Set<string>();
  #lastAt = -Infinity;

  constructor(private readonly now: () => number = () => performance.now()) {
    this.#warning = new Seldom(WARN_EVERY_MS, now);
  }

  /** @param peer the address of the connection as the log may name it, or null */
  note(via: keyof typeof counts, peer: string | null): void {
    counts[via].value += 1;
    this.#lastAt = this.now();
    if (peer !== null && this.#peers.size < MAX_NAMED) this.#peers.add(peer);
    if (!this.#warning.isDue()) return;
    const peers = [...this.#peers].join(', ') || 'a proxy';
    this.#peers.clear();
    this.#logger.warn(
      `Requests come through ${peers}, which TRUST_PROXY does not name: the addresses of their clients are unknown, and ` +
        'the headers of a gateway are not trusted. If this is your proxy, add its address to TRUST_PROXY',
    );
  }

  /** Whether there was such a request lately. */
  get areActive(): boolean {
    return this.now() - this.#lastAt < TELL_FOR_MS;
  }
}
