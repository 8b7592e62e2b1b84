import type { IncomingMessage, ServerResponse } from 'node:http';
import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { credentialOf } from '#libs/auth/sent-credential.js';
import { verifyApiKey } from '#libs/contract/api-keys.js';
import { Authorities } from '#libs/organizations/authorities.service.js';
import { Clock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';
import { errorStack } from '#libs/platform/error-text.js';
import { isJsonType, parseBody } from '#libs/platform/http/body.js';
import { DirectServer } from '#libs/platform/http/direct-server.js';
import { parseInput } from '#libs/platform/http/input.js';
import { problemHeaders, problemOf } from '#libs/platform/http/problem.js';
import { explain } from '#libs/platform/http/problem.filter.js';
import { Proxies, wasForwarded } from '#libs/platform/http/proxies.js';
import { refuseRepeatedHeaders } from '#libs/platform/http/repeated-headers.js';
import { BODY_LIMIT, contextOf } from '#libs/platform/http/server.js';
import type { RequestContext } from '#libs/platform/request-context.js';
import { ApiKeyCredentials } from './verification/api-key-credentials.js';
import { ApiKeyVerifier } from './verification/api-key-verifier.js';
import { corsHeaders } from './verification/cors.js';
import { countVerification } from './verification/verification-metrics.js';
import type { VerificationRequest, VerificationResult } from './verification/verification-request.js';
import { verificationRequest, verificationResponse } from './verification-call.js';

/** A call that may be made: its key is good, and its input valid. */
interface Call {
  readonly context: RequestContext;
  readonly verification: VerificationRequest;
}

/**
 * A short way to `POST /api/v1/api-keys/verify`, which a service calls with each request of its own traffic: Nest's
 * server takes longer than both decisions. This class handles the usual call, whose key is in the cache and whose input
 * is valid. It hands on every other one as it came, so that the route alone rejects calls. Each step is the function
 * that the route or the guard uses.
 */
@Injectable()
export class DirectVerification implements OnModuleInit {
  readonly #logger = new Logger(DirectVerification.name);

  constructor(
    private readonly config: Config,
    private readonly clock: Clock,
    private readonly direct: DirectServer,
    private readonly proxies: Proxies,
    private readonly credentials: ApiKeyCredentials,
    private readonly authorities: Authorities,
    private readonly verifier: ApiKeyVerifier,
  ) {}

  onModuleInit(): void {
    this.direct.offer(verifyApiKey.method, verifyApiKey.path, (request, response, handOn) => {
      const length = this.#isUsual(request) ? Number(request.headers['content-length']) : NaN;
      if (!(length > 0 && length <= BODY_LIMIT)) return handOn(request, response);
      // A small body nearly always arrives with the headers.
      request.once('readable', () => {
        const body = request.read() as Buffer | null;
        const call = body?.length === length ? this.#callOf(request, body) : undefined;
        if (call) return this.#respond(request, response, call);
        if (body) request.unshift(body);
        handOn(request, response);
      });
    });
  }

  #isUsual({ headers, socket }: IncomingMessage): boolean {
    return (
      isJsonType(headers['content-type'] ?? '') && (!wasForwarded(headers) || this.proxies.has(socket.remoteAddress))
    );
  }

  /** @returns undefined if the call is for Nest's route, which repeats these steps */
  #callOf(request: IncomingMessage, body: Buffer): Call | undefined {
    const { headers, rawHeaders } = request;
    try {
      refuseRepeatedHeaders(rawHeaders);
      const context = contextOf(request, verifyApiKey.path, this.proxies);
      const caller = this.credentials.authenticateAtOnce(credentialOf(headers), context);
      if (!caller) return undefined;
      const input = parseInput(verifyApiKey, { headers, body: parseBody(body, headers) });
      const authority = this.authorities.ofKey(caller, verifyApiKey.policy.scope);
      return { context, verification: verificationRequest(input.body, authority, context.requestId) };
    } catch {
      return undefined;
    }
  }

  #respond({ headers: { origin } }: IncomingMessage, response: ServerResponse, { context, verification }: Call): void {
    const { requestId, path } = context;
    const accept = (result: VerificationResult) => {
      countVerification('verify', result.code);
      this.#send(response, context, origin, () => ({
        status: verifyApiKey.success.status,
        headers: { 'content-type': 'application/json; charset=utf-8' },
        body: verificationResponse(result, requestId, this.clock.now()),
      }));
    };
    const reject = (thrown: unknown) => {
      const error = explain(thrown, `${verifyApiKey.method} ${path} failed (${requestId})`, this.#logger);
      countVerification('verify', error.code);
      const problem = problemOf(error, this.config.publicUrl, requestId);
      this.#send(response, context, origin, () => ({
        status: problem.status,
        headers: { 'content-type': 'application/problem+json', ...problemHeaders(error, problem.status) },
        body: problem,
      }));
    };
    countVerification('api', 'valid');
    try {
      this.verifier.ask(verification, accept, reject);
    } catch (thrown) {
      // Nothing above this would catch it, and the process would end.
      reject(thrown);
    }
  }

  /** Never throws: a batch of the admission calls it, and would count all its uses as failed. */
  #send(response: ServerResponse, context: RequestContext, origin: string | undefined, make: () => Response): void {
    const { requestId } = context;
    try {
      const { status, headers, body } = make();
      const text = JSON.stringify(body);
      response.writeHead(status, {
        'x-request-id': requestId,
        'cache-control': 'no-store',
        ...corsHeaders(context, origin),
        ...headers,
        'content-length': Buffer.byteLength(text),
      });
      response.end(text);
    } catch (error) {
      this.#logger.error(`The response to ${requestId} could not be written`, errorStack(error));
      response.destroy();
    }
  }
}

interface Response {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: object;
}
