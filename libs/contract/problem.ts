import { z } from 'zod';

/**
 * Every error of the API: its code, its HTTP status and how to fix it. The responses, the OpenAPI document and `GET
 * /problems/:code` are made from this one table.
 */
export const problems = {
  invalid_request: {
    status: 400,
    title: 'The request is not valid',
    advice: 'Each entry of `errors` names a place in the request, what is wrong there, and what is allowed.',
  },
  multiple_credentials: {
    status: 400,
    title: 'More than one credential was sent',
    advice: 'Send either X-API-Key or Authorization, once, and not empty.',
  },
  unauthenticated: {
    status: 401,
    title: 'A credential is needed',
    advice: 'Send an API key in X-API-Key, or an API key or an access token as Authorization: Bearer.',
  },
  invalid_token: {
    status: 401,
    title: 'The access token is not valid',
    advice: 'Access tokens last ten minutes: get a new one from /api/v1/auth/refresh, or sign in again.',
  },
  invalid_credentials: {
    status: 401,
    title: 'Email or password is wrong',
    advice: 'Check both. The response is the same whether the account exists or not.',
  },
  invalid_refresh_token: {
    status: 401,
    title: 'The refresh token is not valid',
    advice: 'It was used before, has expired, or its session has ended: sign in again.',
  },
  invalid_key: {
    status: 401,
    title: 'The API key is not valid',
    advice: 'Check that the whole key was copied, and that it belongs to this deployment.',
  },
  revoked: {
    status: 401,
    title: 'The API key is revoked',
    advice: 'Create another key. A revoked key never works again.',
  },
  disabled: { status: 401, title: 'The API key is disabled', advice: 'Enable the key again, or use another.' },
  expired: { status: 401, title: 'The API key has expired', advice: 'Create another key.' },
  insufficient_scope: {
    status: 403,
    title: 'The credential lacks a required scope',
    advice: 'Use a credential that has the scope named in WWW-Authenticate.',
  },
  user_required: {
    status: 403,
    title: 'Only a signed-in user may do this',
    advice: 'Use the access token of a user instead of an API key.',
  },
  operator_required: {
    status: 403,
    title: 'Only an operator of this deployment may do this',
    advice: 'Sign in as an operator, or ask the people who run this deployment.',
  },
  organization_suspended: {
    status: 403,
    title: 'The organization of this key is suspended',
    advice: 'Ask the people who run this deployment. The keys work again when an operator resumes the organization.',
  },
  ip_not_allowed: {
    status: 403,
    title: 'The key may not be used from this address',
    advice: "Call from an address within the key's allowed_ips, or change them.",
  },
  origin_not_allowed: {
    status: 403,
    title: 'The public key may not be used from this page',
    advice:
      "Without the secret, it needs an Origin among the key's allowed_domains. From a server, send the secret as well.",
  },
  wrong_project: {
    status: 403,
    title: 'The key does not reach this project',
    advice: 'Use a key of the project, or a key that is not limited to a project.',
  },
  beyond_authority: {
    status: 403,
    title: 'The request exceeds the authority of the credential',
    advice: 'Request only what your credential may grant, or use a credential with more authority.',
  },
  breaks_key_policy: {
    status: 422,
    title: 'The key policy of the organization does not allow this key',
    advice:
      'The detail names every rule that the key breaks. Change the key, or ask an owner or admin of the organization ' +
      'to change the policy.',
  },
  cross_site_request: {
    status: 403,
    title: 'The cookie came from a page of another site',
    advice:
      'The cookie is accepted only with JSON from pages of PUBLIC_URL. Other clients send the refresh token in the body.',
  },
  unknown_gateway: {
    status: 403,
    title: 'The gateway is unknown',
    advice: 'Add its address to TRUST_PROXY. The API trusts the headers of a gateway only then.',
  },
  invalid_signature: {
    status: 403,
    title: 'The signature is not valid',
    advice: 'Sign the exact bytes of the body with a key that the deployment knows. Nothing was done.',
  },
  registration_closed: {
    status: 403,
    title: 'Registration is not open',
    advice: 'Ask the people who run this deployment for an account.',
  },
  invalid_link: {
    status: 403,
    title: 'The one-time link is not valid',
    advice: 'It was used or withdrawn, has expired, or is for another account. Ask the sender for a new one.',
  },
  insufficient_credits: {
    status: 402,
    title: 'The organization does not have enough credits',
    advice: 'Ask the people who run this deployment for more. The key works again when credits are granted.',
  },
  not_found: {
    status: 404,
    title: 'Not found',
    advice: 'Check the path and the id. The response is the same if the object belongs to another organization.',
  },
  email_taken: { status: 409, title: 'An account with this email exists', advice: 'Sign in with it.' },
  conflict: {
    status: 409,
    title: 'The current state does not allow this',
    advice: 'Read the object again. `detail` says what prevents the request.',
  },
  preview_outdated: {
    status: 409,
    title: 'The preview is no longer current',
    advice: 'Nothing has changed. Request a new preview, look at its keys, and confirm it.',
  },
  limit_reached: {
    status: 409,
    title: 'A limit is reached',
    advice:
      '`detail` names the limit. Remove what you no longer need, or ask the people who run this deployment ' +
      'for a higher limit.',
  },
  not_witnessed: {
    status: 409,
    title: 'Too few witnesses have cosigned a checkpoint with this event yet',
    advice:
      'Try again in some minutes. If it remains, a witness may be away, or the deployment may have none: ' +
      '/api/v1/audit/integrity says so. A receipt without cosignatures is available at once.',
  },
  idempotency_in_flight: {
    status: 409,
    title: 'The first request with this Idempotency-Key has not ended yet',
    advice: 'Try again in a moment. When it has ended, its response is repeated.',
  },
  audit_log_pruned: {
    status: 410,
    title: 'These events of the audit log were pruned',
    advice:
      'Their retention has ended. The detail names the first event that is left. Checkpoints and tiles of the levels above 0 ' +
      'still prove the whole log.',
  },
  precondition_failed: {
    status: 412,
    title: 'The object has changed',
    advice: 'Read it again, look at what changed, and send If-Match with the new ETag.',
  },
  request_timeout: {
    status: 408,
    title: 'The request was not complete in time',
    advice: 'Send the headers within 15 seconds and the body within 30.',
  },
  payload_too_large: {
    status: 413,
    title: 'The body is too large',
    advice: 'Send less than 64 KiB, or less than 512 KiB to import keys.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'The body is not JSON',
    advice: 'Send JSON with Content-Type: application/json.',
  },
  headers_too_large: {
    status: 431,
    title: 'The headers are too large',
    advice: 'Send less than 16 KiB of path, query and headers together.',
  },
  idempotency_key_reused: {
    status: 422,
    title: 'This Idempotency-Key was used with another request',
    advice: 'Repeat the same request, or use a new Idempotency-Key for a new request.',
  },
  too_many_attempts: {
    status: 429,
    title: 'Too many attempts',
    advice: 'Wait as long as Retry-After says. No account is locked.',
  },
  rate_limited: {
    status: 429,
    title: 'Too many requests',
    advice: 'Wait as long as Retry-After says.',
  },
  internal_error: {
    status: 500,
    title: 'Something went wrong on our side',
    advice: 'Try again. If the error persists, send the request_id to the people who run this deployment.',
  },
  audit_log_damaged: {
    status: 500,
    title: 'A part of the audit log cannot be read',
    advice:
      'The detail names the events. Tell the people who run this deployment, who may have them in a backup. ' +
      'All other events can be read: `order=asc` reads those before, `order=desc` those after.',
  },
  database_unavailable: {
    status: 503,
    title: 'The database is unavailable',
    advice: 'Try again after Retry-After. A running change may have been made: check before you repeat it.',
  },
  public_keys_unavailable: {
    status: 503,
    title: 'The public keys of the sender cannot be read',
    advice: 'Try again after Retry-After. If it remains, tell the people who run this deployment: its log says why.',
  },
  overloaded: {
    status: 503,
    title: 'The service is too busy',
    advice: 'Try again after Retry-After.',
  },
  checkpoint_unavailable: {
    status: 503,
    title: 'No checkpoint of the audit log can be signed',
    advice:
      'The detail says why, and what the people who run this deployment can do. Events are recorded as before, and ' +
      'proofs without a signature are available.',
  },
  audit_unavailable: {
    status: 503,
    title: 'The request could not be recorded',
    advice: 'Requests are accepted only if they can be recorded. Try again after Retry-After.',
  },
} as const satisfies Record<string, { status: number; title: string; advice: string }>;

export type ProblemCode = keyof typeof problems;

export const FieldError = z
  .strictObject({
    location: z.string().meta({ description: 'The place in the request, such as body.scopes[0] or query.limit' }),
    message: z.string().meta({ description: 'What is wrong and what is allowed' }),
  })
  .meta({ id: 'FieldError' });
export type FieldError = z.infer<typeof FieldError>;

/** Problem details, RFC 9457. */
export const Problem = z
  .strictObject({
    type: z.url(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.enum(Object.keys(problems) as [ProblemCode, ...ProblemCode[]]).meta({ id: 'ProblemCode' }),
    request_id: z.string(),
    errors: z.array(FieldError).optional(),
  })
  .meta({ id: 'Problem', description: 'Problem details, RFC 9457' });
export type Problem = z.infer<typeof Problem>;
