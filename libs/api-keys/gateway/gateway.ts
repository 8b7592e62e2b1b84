import type { IncomingMessage, ServerResponse } from 'node:http';
import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { credentialOf } from '#libs/auth/sent-credential.js';
import { Config } from '#libs/platform/config.js';
import { errorStack } from '#libs/platform/error-text.js';
import { DomainError } from '#libs/platform/errors.js';
import { DirectServer } from '#libs/platform/http/direct-server.js';
import { explain } from '#libs/platform/http/problem.filter.js';
import { Proxies } from '#libs/platform/http/proxies.js';
import { textOf } from '#libs/platform/http/server.js';
import { Seldom } from '#libs/platform/seldom.js';
import { acceptRequestId, MAX_ORIGIN, MAX_USER_AGENT } from '#libs/platform/request-context.js';
import { recordedPath } from '#libs/platform/request-path.js';
import type { RateLimitStatus } from '#libs/admission/rate-limit-window.js';
import { ApiKeyVerifier } from '../verification/api-key-verifier.js';
import { errorOf } from '../verification/verification-error.js';
import { countVerification } from '../verification/verification-metrics.js';
import { acceptance, rejection, type GatewayResponse } from './gateway-response.js';
import { GatewayPolicies, isAskedByNginx, type GatewayPolicy } from './gateway-policy.js';
import { endpointSaid, tellsOfClient } from './gateway-request.js';

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

  onModuleInit(): void {
    this.direct.take(PATH, (request, response) => this.#respond(request, response));
  }

  #respond(request: IncomingMessage, response: ServerResponse): void {
    if (announcesBody(request)) request.resume();
    const requestId = acceptRequestId(request.headers['x-request-id']);
    const { remoteAddress: peer } = request.socket;
    const isKnown = this.proxies.has(peer);
    if (!isKnown && isOfGateway(request)) this.proxies.noteUnknown('gateway', peer);
    const refuse = (thrown: unknown, limits?: readonly RateLimitStatus[]) =>
      this.#refuse(request, response, requestId, thrown, limits);
    try {
      const policy = this.#policyOf(request, isKnown);
      this.verifier.ask(
        {
          credential: credentialOf(request.headers, policy.credential),
          scopes: policy.scopes,
          projectId: policy.projectId,
          cost: policy.cost,
          endpoint: endpointOf(request, isKnown),
          from: this.#originOf(request, requestId, isKnown),
          mayGoUnrecorded: true,
        },
        (result) => {
          if (result.code !== 'valid') return refuse(errorOf(result, policy.scopes), result.limits);
          countVerification('gateway', 'valid');
          this.#send(request, response, requestId, () => acceptance(result.record!, result.limits));
        },
        refuse,
      );
    } catch (error) {
      refuse(error);
    }
  }

  /**
   * For `/authz`, the policy is the query: the gateway's configuration sets the URL. For `/authz/…` it is in headers: the
   * gateway, as Envoy does, appends the client's path and query.
   */
  #policyOf(request: IncomingMessage, isKnown: boolean): GatewayPolicy {
    const url = request.url!;
    if (!isBesidePath(url)) return this.#parsed(request, () => this.#policies.ofUrl(url, request.headers));
    // The headers of an unknown gateway may be the client's own. To ignore them would ignore the policy.
    if (!isKnown) throw new DomainError('unknown_gateway');
    return this.#parsed(request, () => this.#policies.ofHeaders(request.headers));
  }

  /** A gateway with a wrong configuration lets no request pass, so the log says why. */
  #parsed({ socket }: IncomingMessage, parse: () => GatewayPolicy): GatewayPolicy {
    try {
      return parse();
    } catch (error) {
      if (error instanceof DomainError && this.#warning.isDue()) {
        const address = this.proxies.loggedAddressOf(socket.remoteAddress);
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
  #originOf(request: IncomingMessage, requestId: string, isKnown: boolean) {
    const { headers } = request;
    return {
      ip: isKnown && headers['x-forwarded-for'] ? this.proxies.clientOf(request) : null,
      userAgent: textOf(headers['user-agent'], MAX_USER_AGENT),
      requestId,
      origin: textOf(headers.origin, MAX_ORIGIN),
    };
  }

  #refuse(
    request: IncomingMessage,
    response: ServerResponse,
    requestId: string,
    thrown: unknown,
    limits?: readonly RateLimitStatus[],
  ): void {
    const error = explain(thrown, `${request.method} ${PATH} failed (${requestId})`, this.#logger);
    countVerification('gateway', error.code);
    const url = request.url!;
    const forNginx = !isBesidePath(url) && isAskedByNginx(url);
    const surroundings = { publicUrl: this.#publicUrl, requestId, forNginx, limits };
    this.#send(request, response, requestId, () => rejection(error, surroundings));
  }

  /** Never throws: a batch of the admission calls it, and would count all its uses as failed. */
  #send(request: IncomingMessage, response: ServerResponse, requestId: string, make: () => GatewayResponse): void {
    try {
      send(request, response, requestId, make());
    } catch (error) {
      this.#logger.error(`The response to ${requestId} could not be written`, errorStack(error));
      response.destroy();
    }
  }
}

/** The client's request: the rest of the path after `/authz`, or according to the headers of a known gateway. */
function endpointOf({ url, method, headers }: IncomingMessage, isKnown: boolean) {
  if (isBesidePath(url!)) return { method: method!, path: recordedPath(url!.slice(PATH.length)) };
  return isKnown ? endpointSaid(headers) : { method: null, path: null };
}

/** Whether a gateway sent the request, rather than someone who tries a key. Only a gateway appends the client's path. */
function isOfGateway({ url, headers }: IncomingMessage): boolean {
  return isBesidePath(url!) || tellsOfClient(headers);
}

function isBesidePath(url: string): boolean {
  return url.startsWith(`${PATH}/`);
}

/** Whether the headers announce a body. A gateway forwards the client's headers, but not its body. */
function announcesBody({ headers }: IncomingMessage): boolean {
  return Boolean(Number(headers['content-length'])) || headers['transfer-encoding'] !== undefined;
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  requestId: string,
  { status, headers, body = '' }: GatewayResponse,
): void {
  // If a gateway announces the client's body but does not send it, its next request would be taken for the body.
  if (announcesBody(request) && !request.complete) response.shouldKeepAlive = false;
  response.writeHead(status, {
    'x-request-id': requestId,
    'cache-control': 'no-store',
    'content-length': Buffer.byteLength(body),
    ...headers,
  });
  response.end(body);
}
