import { Injectable } from '@nestjs/common';
import fastify, {
  type FastifyInstance,
  type RawReplyDefaultExpression,
  type RawRequestDefaultExpression,
} from 'fastify';
import { Config } from '../config.js';
import { refuseByRouter } from './refuse-unrouted.js';

/**
 * A plain Fastify instance beside Nest's, for endpoints that a customer calls with every request of its own traffic:
 * Nest's hooks alone would take longer than the check. Both instances serve one port; the path decides which one
 * handles a request, before either routes it.
 */
@Injectable()
export class DirectServer {
  readonly instance: FastifyInstance;
  readonly #prefixes: string[] = [];

  constructor(config: Config) {
    this.instance = fastify({ frameworkErrors: refuseByRouter(config.publicUrl) });
  }

  /** Takes this path and all paths below it. */
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

  serve(request: RawRequestDefaultExpression, reply: RawReplyDefaultExpression): void {
    this.instance.routing(request, reply);
  }
}
