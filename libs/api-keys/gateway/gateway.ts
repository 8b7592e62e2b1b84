import { METHODS } from 'node:http';
import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { describeVerification } from '#libs/contract/verification.js';
import { credentialOf } from '#libs/auth/sent-credential.js';
import { missingScopes } from '#libs/contract/scopes.js';
import { Config } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';
import { DirectServer } from '#libs/platform/http/direct-server.js';
import { explain } from '#libs/platform/http/problem.filter.js';
import { Proxies } from '#libs/platform/http/proxies.js';
import { textOf, withoutQueryBodies } from '#libs/platform/http/server.js';
import { Seldom } from '#libs/platform/seldom.js';
import { acceptRequestId, MAX_ORIGIN, MAX_USER_AGENT } from '#libs/platform/request-context.js';
import { recordedPath } from '#libs/platform/request-path.js';
import type { RateLimitStatus } from '#libs/admission/rate-limit-window.js';
import { ApiKeyVerifier, type VerificationResult } from '../verification/api-key-verifier.js';
import { countVerification } from '../verification/verification-metrics.js';
import { acceptance, rejection, type GatewayResponse } from './gateway-response.js';
import { GatewayPolicies, isAskedByNginx, type GatewayPolicy } from './gateway-policy.js';
import { endpointSaid } from './gateway-request.js';

const PATH = '/authz';
const WARN_EVERY_MS = 60_000;

/**
 * The endpoint that a gateway calls before it forwards a request: nginx's `auth_request`, Caddy's `forward_auth`,
 * Traefik's ForwardAuth, Envoy's `ext_authz`. The response is a status and headers. A gateway takes any success as a
 * "yes", so `/authz` has no other success.
 */
@Injectable()
export class Gateway implements OnModuleInit {
  readonly #logger = new Logger(Gateway.name);
  readonly #policies = new GatewayPolicies();
  readonly #warning = new Seldom(WARN_EVERY_MS);
  readonly #publicUrl: string;

  constructor(
    config: Config,
    private readonly direct: DirectServer,
    private readonly proxies: Proxies,
    private readonly verifier: ApiKeyVerifier,
  ) {
    this.#publicUrl = config.publicUrl;
  }

  async onModuleInit(): Promise<void> {
    this.direct.take(PATH);
    const routes = this.direct.instance;
    supportEveryMethod(routes);
    ignoreBodies(routes);
    routes.all(PATH, (request, reply) => this.#respond(request, reply, this.#policy));
    routes.all(`${PATH}/*`, (request, reply) => this.#respond(request, reply, this.#policyBesidePath));
    await routes.ready();
  }

  /** For `/authz`: the gateway's configuration sets the URL, so the query is the policy. */
  readonly #policy = ({ url, headers }: FastifyRequest): GatewayPolicy => this.#policies.ofUrl(url, headers);

  /** For `/authz/…`: the gateway, as Envoy does, appends the client's path and query, so neither is the policy. */
  readonly #policyBesidePath = ({ headers, socket }: FastifyRequest): GatewayPolicy => {
    // The headers of an unknown gateway may be the client's own. To ignore them would ignore the policy.
    if (!this.proxies.has(socket.remoteAddress)) throw new DomainError('unknown_gateway');
    return this.#policies.ofHeaders(headers);
  };

  async #respond(
    request: FastifyRequest,
    reply: FastifyReply,
    policyOf: (request: FastifyRequest) => GatewayPolicy,
  ): Promise<FastifyReply> {
    const requestId = acceptRequestId(request.headers['x-request-id']);
    const { remoteAddress: peer } = request.socket;
    const isKnown = this.proxies.has(peer);
    if (!isKnown) this.proxies.noteUnknown('gateway', peer);
    try {
      const policy = this.#parsePolicy(request, policyOf);
      const result = await this.verifier.verify({
        credential: credentialOf(request.headers, policy.credential),
        scopes: policy.scopes,
        projectId: policy.projectId,
        cost: policy.cost,
        endpoint: endpointOf(request, isKnown),
        from: this.#originOf(request, requestId, isKnown),
        mayGoUnrecorded: true,
      });
      if (result.code === 'valid') {
        countVerification('gateway', 'valid');
        return send(reply, requestId, acceptance(result.record!, result.limits));
      }
      return this.#refuse(request, reply, requestId, errorOf(result, policy), result.limits);
    } catch (thrown) {
      const error = explain(thrown, `${request.method} ${PATH} failed (${requestId})`, this.#logger);
      return this.#refuse(request, reply, requestId, error);
    }
  }

  /** A gateway with a wrong configuration lets no request pass, so the log says why. */
  #parsePolicy(request: FastifyRequest, policyOf: (request: FastifyRequest) => GatewayPolicy): GatewayPolicy {
    try {
      return policyOf(request);
    } catch (error) {
      if (error instanceof DomainError && error.code === 'invalid_request' && this.#warning.isDue()) {
        const address = this.proxies.loggedAddressOf(request.socket.remoteAddress);
        this.#logger.warn(
          `${address === null ? 'A gateway' : `The gateway at ${address}`} sends invalid requests to ${PATH}, so all its requests are rejected: ${error.message}`,
        );
      }
      throw error;
    }
  }

  /**
   * The origin of the client's request. The address of the connection is always the gateway's, never the client's.
   * Behind an unknown gateway, the client's address is unknown.
   */
  #originOf(request: FastifyRequest, requestId: string, isKnown: boolean) {
    const { headers } = request;
    return {
      ip: isKnown && headers['x-forwarded-for'] ? this.proxies.clientOf(request) : null,
      userAgent: textOf(headers['user-agent'], MAX_USER_AGENT),
      requestId,
      origin: textOf(headers.origin, MAX_ORIGIN),
    };
  }

  #refuse(
    request: FastifyRequest,
    reply: FastifyReply,
    requestId: string,
    error: DomainError,
    limits?: readonly RateLimitStatus[],
  ): FastifyReply {
    countVerification('gateway', error.code);
    const forNginx = !isBesidePath(request.url) && isAskedByNginx(request.url);
    return send(reply, requestId, rejection(error, { publicUrl: this.#publicUrl, requestId, forNginx, limits }));
  }
}

/** The client's request: the rest of the path after `/authz`, or according to the headers of a known gateway. */
function endpointOf({ url, method, headers }: FastifyRequest, isKnown: boolean) {
  if (isBesidePath(url)) return { method, path: recordedPath(url.slice(PATH.length)) };
  return isKnown ? endpointSaid(headers) : { method: null, path: null };
}

function isBesidePath(url: string): boolean {
  return url.startsWith(`${PATH}/`);
}

/** Envoy asks with the method of the client. By default, Fastify does not route rare ones, such as those of WebDAV. */
function supportEveryMethod(routes: FastifyInstance): void {
  const known = routes.supportedMethods;
  for (const method of METHODS) {
    if (!known.includes(method) && method !== 'CONNECT') routes.addHttpMethod(method, { hasBody: true });
  }
  withoutQueryBodies(routes);
}

/** A gateway forwards the client's headers without the body, so ignore the headers that describe a body. */
function ignoreBodies(routes: FastifyInstance): void {
  routes.addHook('onRequest', ({ headers }, _reply, done) => {
    delete headers['content-type'];
    done();
  });
  routes.removeAllContentTypeParsers();
  routes.addContentTypeParser('*', (_request, body, done) => {
    body.resume();
    done(null);
  });
}

function send(reply: FastifyReply, requestId: string, { status, headers, body }: GatewayResponse): FastifyReply {
  void reply.header('x-request-id', requestId).header('cache-control', 'no-store');
  if (awaitsBody(reply.request)) void reply.header('connection', 'close');
  return reply.status(status).headers(headers).send(body);
}

/** If a gateway announces the client's body but does not send it, its next request would be taken for the body. */
function awaitsBody({ headers, raw }: FastifyRequest): boolean {
  const isNamed = Boolean(Number(headers['content-length'])) || headers['transfer-encoding'] !== undefined;
  return isNamed && !raw.complete;
}

function errorOf({ code, record, retryAfter, detail }: VerificationResult, { scopes }: GatewayPolicy): DomainError {
  if (code === 'valid') throw new Error('A good key is no error');
  const [scope] = code === 'insufficient_scope' && record ? missingScopes(record.scopes, scopes) : [];
  return new DomainError(code, detail ?? describeVerification(code), {
    ...(scope && { scope }),
    ...(retryAfter && { retryAfter }),
  });
}
