/** Limits of one HTTP server. Times are in milliseconds. */
export interface HttpLimits {
  /** How long a connection may be idle between two requests. */
  readonly keepAliveTimeout: number;
  /** Time until the headers are complete, from the first byte or from the connection. */
  readonly headersTimeout: number;
  /** Time until the body is complete as well. A response may take longer, and a stream has no end. */
  readonly requestTimeout: number;
  /** How often the server checks for requests that take too long. */
  readonly connectionsCheckingInterval: number;
  /** Size of the target and the headers together, in bytes. */
  readonly maxHeaderSize: number;
  /** Further connections are closed at once and counted. */
  readonly maxConnections: number;
  /** How long a connection without a request stays open once the server closes. */
  readonly idleGrace: number;
  /** How long a client may take to finish what it has begun, once the server closes. */
  readonly closeGrace: number;
}

/**
 * A proxy must close an idle connection before the server does, or its next request meets a closed one: nginx and AWS
 * keep idle connections for 60 s, Go's transport (Traefik) for 90 s, Caddy for 120 s, Google's load balancers for 600
 * s.
 */
export const HTTP_LIMITS: HttpLimits = {
  keepAliveTimeout: 620_000,
  headersTimeout: 15_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 5_000,
  maxHeaderSize: 16 * 1024,
  maxConnections: 10_000,
  idleGrace: 100,
  closeGrace: 3_000,
};
