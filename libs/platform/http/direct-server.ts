import { Injectable } from '@nestjs/common';
import fastify, {
  type FastifyInstance,
  type RawReplyDefaultExpression,
  type RawRequestDefaultExpression,
} from 'fastify';
import { Config } from '../config.js';
import { refuseByRouter } from './refuse-unrouted.js';

/**
 * Fastify as it comes, beside Nest's, for what is asked at the rate of somebody's whole traffic: Nest's own hooks alone take
 * longer than the question. Both answer on one port; which paths are whose is decided before either routes.
 */
@Injectable()
export class DirectServer {
  readonly instance: FastifyInstance;
  readonly #prefixes: string[] = [];

  constructor(config: Config) {
    this.instance = fastify({ frameworkErrors: refuseByRouter(config.publicUrl) });
  }

  /** Takes this path and all below it. */
  take(path: `/${string}`): void {
    this.#prefixes.push(path);
  }

  has(url: string): boolean {
    return this.#prefixes.some((path) => {
      if (!url.startsWith(path)) return false;
      const next = url.charAt(path.length);
      return next === '' || next === '?' || next === '/';
    });
  }

  answer(request: RawRequestDefaultExpression, reply: RawReplyDefaultExpression): void {
    this.instance.routing(request, reply);
  }
}
