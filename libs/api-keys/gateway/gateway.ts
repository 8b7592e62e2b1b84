import { compile } from '@fastify/proxy-addr';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { describeVerification } from '#libs/contract/api-keys.js';
import { missingScopes } from '#libs/contract/scopes.js';
import { Config } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';
import { asDomainError } from '#libs/platform/http/problem.filter.js';
import { ApiKeyVerifier, type VerificationResult } from '../verification/api-key-verifier.js';
import { countVerification } from '../verification/verification-metrics.js';
import { acceptance, refusal, type GatewayAnswer } from './answer.js';
import { credentialOf, endpointSaid, pathOf, policyOfHeaders, policyOfQuery, type Policy } from './question.js';

const PATH = '/authz';

/**
 * What a gateway asks before it lets a request pass: nginx's `auth_request`, Caddy's `forward_auth`, Traefik's ForwardAuth,
 * Envoy's `ext_authz`. Answers with a status and headers.
 *
 * A plain route of Fastify: Nest's router and Passport would cost a good part of what this has to do.
 */
@Injectable()
export class Gateway implements OnModuleInit {
  readonly #publicUrl: string;
  readonly #isKnown: (address: string | undefined) => boolean;

  constructor(
    config: Config,
    private readonly host: HttpAdapterHost,
    private readonly verifier: ApiKeyVerifier,
  ) {
    this.#publicUrl = config.publicUrl;
    this.#isKnown = knownPeers(config.settings.TRUST_PROXY ?? []);
  }

  onModuleInit(): void {
    const server = this.host.httpAdapter.getInstance<FastifyInstance>();
    void server.register((routes: FastifyInstance) => {
      // A gateway sends the request's own headers along, and no body: what they say of one is nothing to us.
      routes.removeAllContentTypeParsers();
      routes.addContentTypeParser('*', (_request, body, done) => {
        body.resume();
        done(null);
      });
      const config = { asksForOthers: true };
      routes.all(PATH, { config }, (request, reply) => this.#answer(request, reply, this.#policy));
      routes.all(`${PATH}/*`, { config }, (request, reply) => this.#answer(request, reply, this.#policyBesidePath));
    });
  }

  /** The address of the route is the gateway's own, and so is its query. */
  readonly #policy = (request: FastifyRequest): Policy => policyOfQuery(request.query as Record<string, unknown>);

  /** The gateway puts the client's path and query behind ours, as Envoy does, so neither says what is asked. */
  readonly #policyBesidePath = (request: FastifyRequest): Policy => {
    // Without knowing the gateway nobody knows whose headers these are; to pass them over would pass over what they ask.
    if (!this.#isKnown(request.socket.remoteAddress)) throw new DomainError('unknown_gateway');
    return policyOfHeaders(request.headers);
  };

  async #answer(
    request: FastifyRequest,
    reply: FastifyReply,
    policyOf: (request: FastifyRequest) => Policy,
  ): Promise<FastifyReply> {
    try {
      const policy = policyOf(request);
      const result = await this.verifier.verify({
        credential: credentialOf(request.headers),
        ...policy,
        ...this.#origin(request),
      });
      if (result.code === 'valid') {
        countVerification('gateway', 'valid');
        return send(reply, acceptance(result.record!));
      }
      return this.#refuse(request, reply, errorOf(result, policy));
    } catch (error) {
      return this.#refuse(request, reply, asDomainError(error));
    }
  }

  /** Where the request came from in the first place. Who does not know the gateway takes nobody's word for it. */
  #origin(request: FastifyRequest) {
    const { requestId, userAgent, origin } = request.context;
    const isKnown = this.#isKnown(request.socket.remoteAddress);
    const behind = request.url.startsWith(`${PATH}/`)
      ? { method: request.method, path: pathOf(request.url.slice(PATH.length)) }
      : { method: null, path: null };
    return {
      endpoint: isKnown && behind.path === null ? endpointSaid(request.headers) : behind,
      from: {
        ip: isKnown ? request.context.ip : null,
        userAgent,
        requestId,
        origin,
        addressUnknown: !isKnown,
      },
    };
  }

  #refuse(request: FastifyRequest, reply: FastifyReply, error: DomainError): FastifyReply {
    countVerification('gateway', error.code);
    const { requestId } = request.context;
    const forNginx = (request.query as Record<string, unknown>)['nginx'] === '1';
    return send(reply, refusal(error, { publicUrl: this.#publicUrl, requestId, forNginx }));
  }
}

function send(reply: FastifyReply, { status, headers, body }: GatewayAnswer): FastifyReply {
  return reply.status(status).headers(headers).send(body);
}

function errorOf({ code, record, retryAfter }: VerificationResult, { scopes }: Policy): DomainError {
  if (code === 'valid') throw new Error('A good key is no error');
  const [scope] = code === 'insufficient_scope' && record ? missingScopes(record.scopes, scopes) : [];
  return new DomainError(code, describeVerification(code), {
    ...(scope && { scope }),
    ...(retryAfter && { retryAfter }),
  });
}

/** Whether a peer is among the proxies whose word counts. */
function knownPeers(networks: string[]): (address: string | undefined) => boolean {
  if (networks.length === 0) return () => false;
  const isKnown = compile(networks);
  const answers = new Map<string, boolean>();
  return (address) => {
    if (!address) return false;
    const known = answers.get(address);
    if (known !== undefined) return known;
    const answer = isKnown(address, 0);
    // Peers are gateways, so there are few; whoever else comes does not fill the memory.
    if (answers.size < 1_000) answers.set(address, answer);
    return answer;
  };
}
