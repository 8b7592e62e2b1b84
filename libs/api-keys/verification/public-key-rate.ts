import { Injectable } from '@nestjs/common';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { Config } from '#libs/platform/config.js';

const WINDOW_SECONDS = 60;

/**
 * What one address may do with public keys, which anybody can take from a page: bounded by each process for itself, so
 * that it costs no statement. Secrets are not counted.
 */
@Injectable()
export class PublicKeyRate {
  readonly #limiter: RateLimiterMemory;

  constructor(config: Config) {
    const points = config.settings.PUBLIC_KEY_REQUESTS_PER_MINUTE;
    this.#limiter = new RateLimiterMemory({ points, duration: WINDOW_SECONDS });
  }

  /** @returns undefined when there was one left, else the seconds until there is one */
  async take(ip: string | null): Promise<number | undefined> {
    try {
      await this.#limiter.consume(ip ?? 'unknown');
      return undefined;
    } catch (error) {
      if (error instanceof RateLimiterRes) return Math.max(1, Math.ceil(error.msBeforeNext / 1000));
      throw error;
    }
  }
}
