import { z } from 'zod';
import { keyTextOutputs } from './api-key-text-schemas.js';
import { mapKeyTexts } from './api-key-texts.js';
import { Environment, VerificationCode } from './api-keys.js';
import { idOf } from './ids.js';
import { Role } from './organizations.js';
import { RateLimit } from './rate-limits.js';
import { Scope } from './scopes.js';

/**
 * A domain event: a CloudEvents 1.0 object. Its bytes are made once, when it happens, and kept as they are: they are the
 * entry of the audit log. Old shapes stay readable: fields are only ever added, and golden fixtures hold us to it.
 */
const actor = z.strictObject({
  /** `system`: the service itself, by the clock. `operator`: a user who acts as one of the deployment's staff. */
  type: z.enum(['user', 'operator', 'api_key', 'anonymous', 'system']),
  id: z.string().nullable(),
  /** What a user or a key was called then, and a user's e-mail address. Absent in uses, and with RECORD_ACTOR=id. */
  name: z.string().optional(),
  email: z.string().optional(),
});

/** What somebody or something was called when it happened. */
const named = z.strictObject({ name: z.string().optional(), email: z.string().optional() });

const common = {
  organization_id: idOf('org'),
  actor,
  /** Of the subject, whose id the envelope has. */
  subject: named.optional(),
  /** In the log of the deployment: the organization that it is about. */
  organization: z.strictObject({ id: idOf('org'), name: z.string().optional() }).optional(),
  ip: z.string().nullable(),
  user_agent: z.string().nullable(),
  /** Null where the event stands for several requests. */
  request_id: z.string().nullable(),
  /**
   * The authorization state of the organization's shard under which it was decided: the order of decisions. Of several
   * requests it is that of the last.
   */
  seq: z.int(),
};

function event<const Type extends string, const Data extends z.ZodRawShape>(type: Type, data: Data) {
  return z.object({
    specversion: z.literal('1.0'),
    id: z.uuid(),
    source: z.string(),
    type: z.literal(type),
    time: z.iso.datetime(),
    subject: z.string(),
    datacontenttype: z.literal('application/json'),
    data: z.object({ ...common, ...data }),
  });
}

/** Of a key that is limited to a project. */
const project = { project_id: idOf('proj').optional() };

/** How many, and the ids of as many as an event can name. */
const endedSessions = { ended_sessions: z.int().optional(), ended_session_ids: z.array(idOf('session')) };

/**
 * How many keys were revoked with it. Those that were created before, under a lower `seq`, and had not ended are revoked by
 * this very event; an `api_key.revoked` of each, with the same id, follows as soon as the worker has written it.
 */
const revokedKeys = { revoked_api_keys: z.int(), revocation_id: idOf('revocation').optional() };

/** Each field that changed, by its name in the API; without the values where they may name a person and RECORD_ACTOR=id. */
const changes = z.record(z.string(), z.object({ before: z.unknown().optional(), after: z.unknown().optional() }));

/** Of a public key that was shown alone: the page that it came from. */
const shown = { credential: z.literal('public_key').optional(), origin: z.string().nullable().optional() };

/** Who asked for a verification: a key, with the secret that it showed, or a user. */
const verifier = actor.extend({ secret_id: idOf('secret').optional() });

/** `management`: the key called Keyledger's own API. Absent for a request to the API of the deployment's owner. */
const surface = { surface: z.literal('management').optional() };

/** Of an event that stands for several requests: when the first and the last of them came. Its own time is the last. */
const span = { first_at: z.iso.datetime().optional(), last_at: z.iso.datetime().optional() };

/** Where a key was used: the endpoint, as the sources' documents call it, without its query. */
const endpoint = {
  method: z.string().nullable(),
  path: z.string().nullable(),
  /** Of a call of our own API: the route that the path led to, as `/openapi.json` has it. */
  route: z.string().optional(),
};

export const DomainEvent = z
  .discriminatedUnion('type', [
    event('user.registered', { email: z.string().optional() }),
    event('user.login_succeeded', { session_id: idOf('session') }),
    event('user.login_failed', {
      ...span,
      /** Of accounts that do not exist: how many attempts this event stands for. One for several names no address. */
      count: z.int().min(1).optional(),
    }),
    event('user.logged_out', { session_id: idOf('session') }),
    event('user.session_ended', {
      session_id: idOf('session'),
      /** Absent where the user ended it: another sign-in was one too many. */
      because: z.literal('too_many').optional(),
    }),
    event('user.password_changed', endedSessions),
    event('user.refresh_token_reused', { session_id: idOf('session') }),
    event('user.password_reset_requested', {}),
    event('user.password_reset', endedSessions),
    event('user.operator_added', { invitation_id: idOf('inv') }),
    event('user.operator_removed', {}),
    event('organization.created', { name: z.string().optional(), owner_id: idOf('user') }),
    event('organization.updated', { changes }),
    event('organization.suspended', { reason: z.string().optional() }),
    event('organization.resumed', {}),
    event('invitation.created', { role: Role.nullable(), email: z.string().nullable().optional() }),
    event('invitation.revoked', {}),
    event('member.added', { role: Role, invitation_id: idOf('inv') }),
    event('member.role_changed', {
      before: Role,
      after: Role,
      /** By accepting it. */
      invitation_id: idOf('inv').optional(),
    }),
    event('member.removed', { role: Role, ...revokedKeys }),
    event('project.created', { name: z.string() }),
    event('project.updated', { changes }),
    event('project.deleted', revokedKeys),
    event('credits.granted', { amount: z.int(), balance: z.int(), reason: z.string().nullable() }),
    /** The balance was set aside: uses are no longer charged. */
    event('credits.removed', { balance: z.int() }),
    event('credits.low', { balance: z.int(), low_below: z.int() }),
    /** What an operator read of the organization, before they were shown it. */
    event('operator.read', {
      ...endpoint,
      /** Where a page sent several calls at once: all of them, the first included. */
      reads: z.array(z.object({ ...endpoint, request_id: z.string() })).optional(),
    }),
    event('api_key.created', {
      ...project,
      secret_id: idOf('secret'),
      number: z.int().optional(),
      prefix: z.string().optional(),
      name: z.string(),
      environment: Environment,
      scopes: z.array(Scope),
      expires_at: z.iso.datetime().nullable(),
      /** What the first version did not tell: all that a key begins with, so that it can be rebuilt. */
      ...mapKeyTexts((text) => keyTextOutputs[text].optional()),
      metadata: z.record(z.string(), z.string()).optional(),
      public_key: z.string().optional(),
      allowed_domains: z.array(z.string()).optional(),
      public_scopes: z.array(Scope).nullable().optional(),
      allowed_ips: z.array(z.string()).optional(),
      accountable_user_id: idOf('user').optional(),
      accountable_user: named.optional(),
      own_keys_only: z.boolean().optional(),
      /** Absent where it has none. */
      rate_limits: z.array(RateLimit).optional(),
    }),
    event('api_key.used', {
      ...project,
      ...surface,
      ...endpoint,
      ...shown,
      /** Absent where the public key was shown alone. */
      secret_id: idOf('secret').optional(),
      cost: z.int(),
      scopes: z.array(Scope),
      /** Absent where a gateway asked, or the key called us itself. Of a key this is the only record of its call. */
      verified_by: verifier.optional(),
    }),
    event('api_key.denied', {
      ...project,
      ...surface,
      ...endpoint,
      ...shown,
      ...span,
      code: VerificationCode,
      /** Absent in a summary. */
      scopes: z.array(Scope).optional(),
      /** How many denials this event stands for. All that it states is true of each of them. */
      count: z.int().min(1),
      /** Denials that agree in the code alone: it names no method, path, address, user agent, scopes or request. */
      summary: z.literal(true).optional(),
      /** Of a summary: who asked for the verifications, as far as anybody did; of more than 20 the first ones. */
      callers: z.array(verifier.extend({ count: z.int().min(1) })).optional(),
      verified_by: verifier.optional(),
    }),
    event('api_key.rotated', {
      ...project,
      secret_id: idOf('secret'),
      previous_secret_id: idOf('secret'),
      /** How the new secret begins. */
      prefix: z.string().optional(),
      /** Until when the previous secret works; absent when it ended with the rotation. */
      previous_secret_ends_at: z.iso.datetime().optional(),
    }),
    event('api_key.updated', { ...project, changes }),
    event('api_key.enabled', project),
    event('api_key.disabled', project),
    event('api_key.expiring', { ...project, expires_at: z.iso.datetime(), days_left: z.int() }),
    event('api_key.expired', { ...project, expires_at: z.iso.datetime() }),
    event('api_key.revoked', {
      ...project,
      deleted: z.boolean(),
      /** Absent where somebody revoked this very key. */
      because: z.enum(['member_removed', 'project_deleted']).optional(),
      /** That of the event which revoked this key and others. */
      revocation_id: idOf('revocation').optional(),
      /** When it was: this event was written afterwards. */
      revoked_at: z.iso.datetime().optional(),
    }),
  ])
  .meta({ id: 'DomainEvent', description: 'A CloudEvents 1.0 object' });

export type DomainEvent = z.infer<typeof DomainEvent>;
export type DomainEventType = DomainEvent['type'];
export type DomainEventOf<T extends DomainEventType> = Extract<DomainEvent, { type: T }>;
export type EventActor = z.infer<typeof actor>;
export type EventVerifier = z.infer<typeof verifier>;

/** Whom or what an event is about: the id, and what it was called then. */
export type EventSubject = z.infer<typeof named> & { readonly id: string };

/**
 * What the log needs of an entry to keep it. Looser than {@link DomainEvent}, so that a worker that is older than the
 * API keeps the events that it does not know yet.
 */
export const EventEnvelope = z.looseObject({
  id: z.uuid(),
  type: z.string().min(1).max(100),
  time: z.iso.datetime(),
  subject: z.string(),
  data: z.looseObject({
    organization_id: idOf('org'),
    actor: z.looseObject({ type: z.string(), id: z.string().nullable() }),
  }),
});
export type EventEnvelope = z.infer<typeof EventEnvelope>;

const { data } = EventEnvelope.shape;
const Checked = EventEnvelope.extend({ data: data.extend({ actor: data.shape.actor.strip() }).strip() }).strip();

/**
 * The event itself, and no copy of all that it has: in half the time, for each event that there is.
 * @throws z.ZodError where {@link EventEnvelope} would
 */
export function asEnvelope(event: unknown): EventEnvelope {
  Checked.parse(event);
  return event as EventEnvelope;
}

/** What an event, of whatever version, says that somebody or something was called. */
export function calledIn(
  data: EventEnvelope['data'],
  which: 'actor' | 'subject' | 'organization',
): { readonly id?: string; readonly name?: string; readonly email?: string } {
  return Called.safeParse(data[which]).data ?? {};
}

const text = z.string().optional().catch(undefined);
const Called = z.object({ id: text, name: text, email: text });
