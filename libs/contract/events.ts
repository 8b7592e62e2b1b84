import { z } from 'zod';
import { keyTextOutputs } from './api-key-text-schemas.js';
import { mapKeyTexts } from './api-key-texts.js';
import { Environment } from './api-key-schemas.js';
import { VerificationCode } from './verification.js';
import { idOf } from './ids.js';
import { Role } from './organizations.js';
import { RateLimit } from './rate-limits.js';
import { Scope } from './scopes.js';

/**
 * A domain event: a CloudEvents 1.0 object. It is serialized once, when it happens, and these bytes are the entry of
 * the audit log. Old shapes stay readable: fields are only added, and golden fixtures check it.
 */
const ActorType = z.enum(['user', 'operator', 'api_key', 'anonymous', 'system']).meta({ id: 'EventActorType' });

const actor = z.strictObject({
  /** `system`: the service itself, by the clock. `operator`: a user who acts as an operator of the deployment. */
  type: ActorType,
  id: z.string().nullable(),
  /** The name of a user or key at that time, and a user's e-mail address. Absent in uses, and with RECORD_ACTOR=id. */
  name: z.string().optional(),
  email: z.string().optional(),
});

const eventTime = z.iso.datetime().meta({ id: 'EventTime', examples: ['2026-03-02T09:30:00.000Z'] });

/** In the OpenAPI document each type of event has a name: `ApiKeyUsedEvent`. */
function schemaName(type: string): string {
  const words = type.split(/[._]/).map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return `${words.join('')}Event`;
}

/** Name and e-mail address at the time of the event. */
const named = z.strictObject({ name: z.string().optional(), email: z.string().optional() });

const common = {
  organization_id: idOf('org'),
  actor,
  /** Names of the subject. Its id is in the envelope. */
  subject: named.optional(),
  /** In the deployment's audit log: the organization that the event is about. */
  organization: z.strictObject({ id: idOf('org'), name: z.string().optional() }).optional(),
  ip: z.string().nullable(),
  user_agent: z.string().nullable(),
  /** Null if the event stands for several requests. */
  request_id: z.string().nullable(),
  /**
   * The authorization state of the organization's shard for this decision: it gives the order of decisions. For several
   * requests, the state of the last one.
   */
  seq: z.int(),
};

/** A use has the id of its request. All other events have a UUID, because one request can cause several. */
const eventId = z
  .union([z.uuid(), idOf('req')])
  .meta({ id: 'EventId', examples: ['01890a5d-ac96-774b-bcce-b302099a8057'] });

function event<const Type extends string, const Data extends z.ZodRawShape>(type: Type, data: Data) {
  return z
    .object({
      specversion: z.literal('1.0'),
      id: eventId,
      source: z.string(),
      type: z.literal(type),
      time: eventTime,
      subject: z.string(),
      datacontenttype: z.literal('application/json'),
      data: z.object({ ...common, ...data }),
    })
    .meta({ id: schemaName(type) });
}

/** For a key that is limited to a project. */
const project = { project_id: idOf('proj').optional() };

/** The number of live sessions that the change ended, and as many ids as an event can name. */
const endedSessions = { ended_sessions: z.int().optional(), ended_session_ids: z.array(idOf('session')) };

/**
 * The number of keys that the change revoked: those that were created before it, with a lower `seq`, and were not
 * revoked yet, expired ones included. The worker later writes an `api_key.revoked` for each key, with the same
 * `revocation_id`.
 */
const revokedKeys = { revoked_api_keys: z.int(), revocation_id: idOf('revocation').optional() };

/** Each changed field by its API name. Without the values if they may name a person and RECORD_ACTOR=id. */
const changes = z.record(z.string(), z.object({ before: z.unknown().optional(), after: z.unknown().optional() }));

/** For a public key presented alone: the page that sent it. */
const shown = { credential: z.literal('public_key').optional(), origin: z.string().nullable().optional() };

/** The caller of a verification: a key with the secret that it presented, or a user. */
const verifier = actor.extend({ secret_id: idOf('secret').optional() });

/** `management`: the key called Keyledger's own API. Absent for a request to the API of the deployment's owner. */
const surface = { surface: z.literal('management').optional() };

/**
 * For an event that stands for several requests: the times of the first and the last one. The event's own time is the
 * last.
 */
const span = { first_at: z.iso.datetime().optional(), last_at: z.iso.datetime().optional() };

/** The endpoint at which a key was used, by the name in its own API, without the query. */
const endpoint = {
  method: z.string().nullable(),
  path: z.string().nullable(),
  /** For a call of our own API: the matching route, as in `/openapi.json`. */
  route: z.string().optional(),
};

const quarantined = {
  /** The number of the record in the quarantine. */
  quarantine_id: z.int(),
  /** Of the bytes of the record, in hexadecimal. */
  sha256: z.string(),
  /** How many events the record contains; null if that cannot be told. */
  count: z.int().nullable(),
};

/**
 * One object with fields of it. If a field alone is too long for an event, the tuple has four members: the kind, the id,
 * the name of the field and the next piece of its JSON.
 */
const recordedObject = z.union([
  z.tuple([z.string(), z.string(), z.record(z.string(), z.unknown())]),
  z.tuple([z.string(), z.string(), z.string(), z.string()]),
]);

/** A part of what a log says of its organization. */
export const RecordedState = z.object({
  /** The state is that of the entries with lower leaf indexes. */
  below: z.int().min(0),
  /** From 1 on. The parts follow each other in the log. */
  part: z.int().min(1),
  parts: z.int().min(1),
  state: z.array(recordedObject),
});
export type RecordedState = z.infer<typeof RecordedState>;

const newKey = {
  ...project,
  secret_id: idOf('secret'),
  number: z.int().optional(),
  prefix: z.string().optional(),
  name: z.string(),
  environment: Environment,
  scopes: z.array(Scope),
  expires_at: z.iso.datetime().nullable(),
  /** Added after the first version: the complete initial state of the key, so that it can be rebuilt. */
  ...mapKeyTexts((text) => keyTextOutputs[text].optional()),
  metadata: z.record(z.string(), z.string()).optional(),
  public_key: z.string().optional(),
  allowed_domains: z.array(z.string()).optional(),
  public_scopes: z.array(Scope).nullable().optional(),
  allowed_ips: z.array(z.string()).optional(),
  accountable_user_id: idOf('user').optional(),
  accountable_user: named.optional(),
  own_keys_only: z.boolean().optional(),
  /** Absent if the key has no limits. */
  rate_limits: z.array(RateLimit).optional(),
};

/** For a search of all audit logs: the value that the operator looked for, by the name of the parameter. */
const asked = { filter: z.record(z.string(), z.string().nullable()).optional() };

export const DomainEvent = z
  .discriminatedUnion('type', [
    event('user.registered', { email: z.string().optional() }),
    event('user.login_succeeded', { session_id: idOf('session') }),
    event('user.login_failed', {
      ...span,
      /** For accounts that do not exist: the number of attempts. An event for several attempts has no address. */
      count: z.int().min(1).optional(),
    }),
    event('user.logged_out', { session_id: idOf('session') }),
    event('user.session_ended', {
      session_id: idOf('session'),
      /** Absent if the user ended the session. `too_many`: another sign-in exceeded the maximum. */
      because: z.literal('too_many').optional(),
    }),
    event('user.updated', { changes }),
    event('user.password_changed', endedSessions),
    event('user.refresh_token_reused', { session_id: idOf('session') }),
    event('user.password_reset_requested', {}),
    event('user.password_reset', endedSessions),
    event('user.operator_added', { invitation_id: idOf('inv') }),
    event('user.operator_removed', {}),
    event('organization.created', {
      name: z.string().optional(),
      owner_id: idOf('user'),
      /** Whether it is the personal organization of the owner. */
      personal: z.boolean().optional(),
    }),
    event('organization.updated', { changes }),
    /** Each changed rule of the key policy. */
    event('organization.key_policy_changed', { changes }),
    event('organization.suspended', { reason: z.string().optional() }),
    event('organization.resumed', {
      /** Of the key policy: it gives notice of its rule on unused keys again. */
      changes: changes.optional(),
    }),
    event('invitation.created', {
      role: Role.nullable(),
      email: z.string().nullable().optional(),
      expires_at: z.iso.datetime().optional(),
    }),
    event('invitation.revoked', {}),
    event('member.added', { role: Role, invitation_id: idOf('inv') }),
    event('member.role_changed', {
      before: Role,
      after: Role,
      /** The invitation that the user accepted. */
      invitation_id: idOf('inv').optional(),
    }),
    event('member.removed', { role: Role, ...revokedKeys }),
    event('project.created', { name: z.string(), description: z.string().nullable().optional() }),
    event('project.updated', { changes }),
    event('project.deleted', revokedKeys),
    event('credits.granted', {
      amount: z.int(),
      balance: z.int(),
      reason: z.string().nullable(),
      grant_id: idOf('grant').optional(),
      /** The threshold of `credits.low` from now on. */
      low_below: z.int().optional(),
    }),
    /** The balance was removed: uses are no longer charged. */
    event('credits.removed', { balance: z.int() }),
    event('credits.low', { balance: z.int(), low_below: z.int() }),
    /** What an operator read of the organization; recorded before the operator sees it. */
    event('operator.read', {
      ...endpoint,
      ...asked,
      /** If a page sent several calls at once: all calls, including the first. */
      reads: z.array(z.object({ ...endpoint, ...asked, request_id: z.string() })).optional(),
    }),
    /** Checkpoints no longer continue the earlier ones, because the database or the anchor lost what was signed. */
    event('audit_log.epoch_started', {
      epoch: z.int(),
      /** The last checkpoint of the earlier epoch that is known. Absent if the anchor is lost. */
      earlier: z.object({ anchor_id: z.string(), epoch: z.int(), size: z.int(), root: z.string() }).optional(),
    }),
    /** For how many days entries are kept; null for the default of the deployment, and as the default: for ever. */
    event('audit_log.retention_changed', { before: z.int().nullable(), after: z.int().nullable() }),
    /** From now on, nothing of the log is pruned. */
    event('audit_log.hold_placed', { reason: z.string() }),
    event('audit_log.hold_lifted', { reason: z.string() }),
    /** The entries from leaf `from` to before leaf `below` had expired, and were removed. */
    event('audit_log.pruned', { from: z.int(), below: z.int() }),
    /** What the log says of the organization before an entry, so that the entries before it can be pruned. */
    event('audit_log.state_recorded', RecordedState.shape),
    /** Another key signs the checkpoints from now on. */
    event('audit_log.key_rotated', {
      epoch: z.int(),
      /** The new key. */
      vkey: z.string(),
      /** The note with which the earlier key hands over to it. Absent if the earlier key is compromised. */
      note: z.string().optional(),
      /** Until then the earlier key signs, too. Absent if it is compromised. */
      previous_key_ends_at: z.iso.datetime().optional(),
    }),
    /** A record could not be read, so its events are missing in the log. It waits in the quarantine. */
    event('event.quarantined', quarantined),
    /** The record was put back into the outbox. If it can be read now, its events follow. */
    event('event.requeued', quarantined),
    event('api_key.created', newKey),
    /** Another system made the secret. The event has neither the token nor a hash of it. */
    event('api_key.imported', newKey),
    event('api_key.used', {
      ...project,
      ...surface,
      ...endpoint,
      ...shown,
      /** Absent if the caller presented only the public key. */
      secret_id: idOf('secret').optional(),
      cost: z.int(),
      scopes: z.array(Scope),
      /**
       * Absent if a gateway asked, or if the key called our API itself. For a key that asks, this is the only record of
       * its call.
       */
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
      /** The number of denials that this event stands for. All its data is true of each of them. */
      count: z.int().min(1),
      /** Denials that are counted by code alone: no method, path, address, user agent, scopes or request id. */
      summary: z.literal(true).optional(),
      /**
       * For a summary: the callers of the verifications, if there were any; the first ones if there were more than 20.
       */
      callers: z.array(verifier.extend({ count: z.int().min(1) })).optional(),
      verified_by: verifier.optional(),
    }),
    event('api_key.rotated', {
      ...project,
      secret_id: idOf('secret'),
      previous_secret_id: idOf('secret'),
      /** The beginning of the new secret. */
      prefix: z.string().optional(),
      /** When the previous secret stops working. Absent if it stopped with the rotation. */
      previous_secret_ends_at: z.iso.datetime().optional(),
      /** When each earlier secret ends that still worked before the rotation. */
      ends: z.array(z.object({ secret_id: idOf('secret'), ends_at: z.iso.datetime() })).optional(),
    }),
    event('api_key.updated', { ...project, changes }),
    event('api_key.enabled', project),
    event('api_key.disabled', {
      ...project,
      /** Absent if a caller disabled the key. */
      because: z.literal('unused').optional(),
      /** For how many days the key policy lets a key be unused. */
      unused_for_days: z.int().optional(),
    }),
    event('api_key.expiring', { ...project, expires_at: z.iso.datetime(), days_left: z.int() }),
    event('api_key.expired', { ...project, expires_at: z.iso.datetime() }),
    /** A secret was found in a public place. The first report of each secret has an event. */
    event('api_key.leaked', {
      ...project,
      secret_id: idOf('secret'),
      /** Who found it, as the reporter says. `github:` and a place on GitHub: GitHub signed the report. */
      source: z.string().nullable(),
      url: z.string().nullable(),
      /** Whether the key was revoked for it. */
      revoked: z.boolean(),
    }),
    event('api_key.revoked', {
      ...project,
      deleted: z.boolean(),
      /** Absent if a caller revoked this key directly. */
      because: z.enum(['member_removed', 'project_deleted', 'leaked']).optional(),
      /** The id in the event that revoked this key and others. */
      revocation_id: idOf('revocation').optional(),
      /** When the key was revoked: this event was written later. */
      revoked_at: z.iso.datetime().optional(),
    }),
  ])
  .meta({ id: 'DomainEvent', description: 'A CloudEvents 1.0 object' });

export type DomainEvent = z.infer<typeof DomainEvent>;
export type DomainEventType = DomainEvent['type'];
export type DomainEventOf<T extends DomainEventType> = Extract<DomainEvent, { type: T }>;
export type EventActor = z.infer<typeof actor>;
export type EventVerifier = z.infer<typeof verifier>;

/** The subject of an event: its id, and its names at that time. */
export type EventSubject = z.infer<typeof named> & { readonly id: string };

/**
 * The fields that the audit log needs of an entry. Looser than {@link DomainEvent}, so that an older worker can store
 * the events of a newer API.
 */
export const EventEnvelope = z.looseObject({
  id: eventId,
  type: z.string().min(1).max(100),
  // PostgreSQL has no year 0.
  time: z.iso.datetime().refine((time) => !time.startsWith('0000')),
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
 * Checks and returns the event itself. Copying all its data would take twice the time, for every event.
 * @throws z.ZodError if {@link EventEnvelope} would throw
 */
export function asEnvelope(event: unknown): EventEnvelope {
  Checked.parse(event);
  return event as EventEnvelope;
}

/** The names that an event of any version records. */
export function calledIn(
  data: EventEnvelope['data'],
  which: 'actor' | 'subject' | 'organization',
): { readonly id?: string; readonly name?: string; readonly email?: string } {
  return Called.safeParse(data[which]).data ?? {};
}

const text = z.string().optional().catch(undefined);
const Called = z.object({ id: text, name: text, email: text });
