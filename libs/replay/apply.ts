import { keyTextNames } from '#libs/contract/api-key-texts.js';
import { DomainEvent, type DomainEventOf, type DomainEventType, type EventEnvelope } from '#libs/contract/events.js';
import { NO_KEY_POLICY } from '#libs/contract/key-policy-rules.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { charge, count, type CountedType } from './apply-uses.js';
import type { Kind, State } from './state.js';

/**
 * Adds an event of the log to the state.
 * @throws z.ZodError if the event is not one that this version knows
 */
export function applyEntry(state: State, envelope: EventEnvelope): void {
  if (isCounted(envelope)) count(state, envelope);
  applyWaiting(state, envelope);
}

/** The same for an event that still waits in the outbox: the worker counts uses and denials only when it ingests them. */
export function applyWaiting(state: State, envelope: EventEnvelope): void {
  if (isCounted(envelope)) charge(state, envelope);
  else applyManagement(state, DomainEvent.parse(envelope));
}

function isCounted({ type }: EventEnvelope): boolean {
  return type === 'api_key.used' || type === 'api_key.denied';
}

type ManagementType = Exclude<DomainEventType, CountedType>;
type Apply<T extends ManagementType> = (state: State, event: DomainEventOf<T>) => void;
type Appliers = { readonly [T in ManagementType]: Apply<T> | null };

function applyManagement(state: State, event: DomainEvent): void {
  const isOfDeployment = event.data.organization_id === DEPLOYMENT_ID;
  const appliers: Partial<Appliers> = isOfDeployment ? ofDeployment : ofOrganization;
  // The type of the event selects its function.
  const apply = appliers[event.type as ManagementType] as ((state: State, event: DomainEvent) => void) | null;
  apply?.(state, event);
}

/** Changes fields of an object that counts its changes. */
function touch(state: State, kind: Kind, id: string, time: string, fields: object): void {
  const version = state.get(kind, id)?.['version'];
  state.change(kind, id, {
    ...fields,
    updated_at: time,
    ...(typeof version === 'number' && { version: version + 1 }),
  });
}

/** The new values of the changed fields. Those that the event leaves out become unknown. */
function afterOf(changes: DomainEventOf<'project.updated'>['data']['changes']): Record<string, unknown> {
  return Object.fromEntries(Object.entries(changes).map(([field, { after }]) => [field, after]));
}

/** The key policy after a change of some of its rules. */
function changedPolicy(state: State, organizationId: string, changes: Parameters<typeof afterOf>[0]): object {
  return { ...(state.get('organization', organizationId)?.['key_policy'] as object), ...afterOf(changes) };
}

const openInvitation: Apply<'invitation.created'> = (state, { subject, time, data }) =>
  state.put('invitation', subject, {
    role: data.role,
    email: data.email,
    created_by: data.actor.id,
    created_at: time,
    expires_at: data.expires_at,
    accepted_at: null,
    revoked_at: null,
  });

const withdrawInvitation: Apply<'invitation.revoked'> = (state, { subject, time }) =>
  state.change('invitation', subject, { revoked_at: time });

function acceptInvitation(state: State, id: string | undefined, time: string): void {
  if (id !== undefined) state.change('invitation', id, { accepted_at: time });
}

/** Puts a record into the quarantine, or back. */
const quarantined: Pick<Appliers, 'event.quarantined' | 'event.requeued'> = {
  'event.quarantined': (state, { data }) => state.put('quarantined', String(data.quarantine_id), {}),
  'event.requeued': (state, { data }) => state.remove('quarantined', String(data.quarantine_id)),
};

/** Of an action on an organization, the log of the deployment has a copy, which says nothing of the deployment. */
const ofDeployment: Partial<Appliers> = {
  ...quarantined,
  'user.operator_added': (state, { subject, time, data }) => {
    state.put('operator', subject, { operator_since: time });
    acceptInvitation(state, data.invitation_id, time);
  },
  'user.operator_removed': (state, { subject }) => state.remove('operator', subject),
  'invitation.created': openInvitation,
  'invitation.revoked': withdrawInvitation,
};

/** Revokes the keys that were created before a mass revocation. Each key gets an event of its own later. */
function revokeKeys(
  state: State,
  { time, data: { seq, revocation_id: revocationId } }: DomainEventOf<'project.deleted' | 'member.removed'>,
  of: { readonly project_id: string } | { readonly accountable_user_id: string },
): void {
  if (revocationId === undefined) return;
  const [[field, value]] = Object.entries(of) as [[string, string]];
  for (const key of state.of('api_key').values()) {
    if (key[field] !== value || key['revoked_at'] !== null || (key['seq'] as number) >= seq) continue;
    key['revoked_at'] = time;
  }
}

function createApiKey(
  state: State,
  { type, subject, time, data }: DomainEventOf<'api_key.created' | 'api_key.imported'>,
): void {
  const imported = type === 'api_key.imported';
  const texts = Object.fromEntries(keyTextNames.map((name) => [name, data[name]]));
  state.put('api_key', subject, {
    number: data.number,
    project_id: data.project_id ?? null,
    name: data.name,
    ...texts,
    metadata: data.metadata,
    public_key: data.public_key,
    prefix: data.prefix,
    imported,
    environment: data.environment,
    scopes: data.scopes,
    allowed_domains: data.allowed_domains,
    public_scopes: data.public_scopes,
    allowed_ips: data.allowed_ips,
    rate_limits: data.rate_limits ?? [],
    accountable_user_id: data.accountable_user_id,
    own_keys_only: data.own_keys_only,
    created_by: data.actor.id,
    created_at: time,
    updated_at: time,
    expires_at: data.expires_at,
    rotated_at: null,
    disabled_at: null,
    enabled_at: null,
    revoked_at: null,
    deleted_at: null,
    leak: null,
    version: 1,
    // Not compared: it tells which keys a mass revocation covers.
    seq: data.seq,
  });
  addSecret(state, subject, time, data);
  if (imported) state.change('secret', data.secret_id, { shown: null });
}

/** @param data of the event in which the key got the secret */
function addSecret(
  state: State,
  apiKeyId: string,
  time: string,
  { secret_id: id, prefix }: { readonly secret_id: string; readonly prefix?: string | undefined },
): void {
  const shown = prefix?.slice(prefix.lastIndexOf('_') + 1);
  state.put('secret', id, { api_key_id: apiKeyId, shown, created_at: time, ended_at: null, leaked_at: null });
}

const rotateApiKey: Apply<'api_key.rotated'> = (state, { subject, time, data }) => {
  touch(state, 'api_key', subject, time, { prefix: data.prefix, imported: false, rotated_at: time });
  const ends = data.ends ?? [{ secret_id: data.previous_secret_id, ends_at: undefined }];
  for (const { secret_id: id, ends_at: end } of ends) state.change('secret', id, { ended_at: end });
  addSecret(state, subject, time, data);
};

const revokeApiKey: Apply<'api_key.revoked'> = (state, { subject, time, data }) => {
  const key = state.get('api_key', subject);
  const revokedAt = key?.['revoked_at'] ?? data.revoked_at ?? time;
  const deleted = data.deleted && { deleted_at: time };
  // The worker reaches a key of a mass revocation later, and then the key may have been changed since.
  const known = key?.['updated_at'];
  const updatedAt = data.revoked_at ?? time;
  const latest = data.revoked_at !== undefined && typeof known === 'string' && known > updatedAt ? known : updatedAt;
  touch(state, 'api_key', subject, latest, { revoked_at: revokedAt, ...deleted });
};

const reportLeak: Apply<'api_key.leaked'> = (state, { subject, time, data }) => {
  const { secret_id: secretId, source, url } = data;
  touch(state, 'api_key', subject, time, { leak: { secret_id: secretId, at: time, source, url } });
  state.change('secret', secretId, { leaked_at: time });
};

const ofKeys: Pick<Appliers, Extract<ManagementType, `api_key.${string}`>> = {
  'api_key.created': createApiKey,
  'api_key.imported': createApiKey,
  'api_key.rotated': rotateApiKey,
  'api_key.updated': (state, { subject, time, data }) => touch(state, 'api_key', subject, time, afterOf(data.changes)),
  'api_key.enabled': (state, { subject, time }) =>
    touch(state, 'api_key', subject, time, { disabled_at: null, enabled_at: time }),
  'api_key.disabled': (state, { subject, time }) => touch(state, 'api_key', subject, time, { disabled_at: time }),
  'api_key.leaked': reportLeak,
  'api_key.revoked': revokeApiKey,
  // The time alone decides when a key expires.
  'api_key.expiring': null,
  'api_key.expired': null,
};

const ofCredits: Pick<Appliers, Extract<ManagementType, `credits.${string}`>> = {
  'credits.granted': (state, { subject, time, data }) => {
    const { amount, balance, reason, low_below: lowBelow, grant_id: grantId, actor, seq } = data;
    const known = state.get('balance', subject);
    state.put('balance', subject, {
      balance: known ? (known['balance'] as number) + amount : balance,
      low_below: lowBelow,
      // Not compared: decisions from this state on are charged.
      since: known?.['since'] ?? seq,
    });
    if (grantId === undefined) return;
    const grantedBy = actor.type === 'system' ? null : actor.id;
    state.put('grant', grantId, { amount, balance_after: balance, reason, granted_by: grantedBy, created_at: time });
  },
  'credits.removed': (state, { subject, data: { seq, balance } }) => {
    const known = state.get('balance', subject);
    state.remove('balance', subject);
    // Uses that were charged before may follow in the log.
    if (known) state.put('ended_balance', String(seq), { ...known, until: seq, removed: balance });
  },
  'credits.low': null,
};

const ofMembers: Pick<Appliers, Extract<ManagementType, `member.${string}` | `invitation.${string}`>> = {
  'invitation.created': openInvitation,
  'invitation.revoked': withdrawInvitation,
  'member.added': (state, { subject, time, data }) => {
    state.put('member', subject, { role: data.role, created_at: time });
    acceptInvitation(state, data.invitation_id, time);
  },
  'member.role_changed': (state, { subject, time, data }) => {
    state.change('member', subject, { role: data.after });
    acceptInvitation(state, data.invitation_id, time);
  },
  'member.removed': (state, event) => {
    state.remove('member', event.subject);
    revokeKeys(state, event, { accountable_user_id: event.subject });
  },
};

const ofProjects: Pick<Appliers, Extract<ManagementType, `project.${string}`>> = {
  'project.created': (state, { subject, time, data }) =>
    state.put('project', subject, {
      name: data.name,
      description: data.description,
      created_at: time,
      updated_at: time,
      deleted_at: null,
      version: 1,
    }),
  'project.updated': (state, { subject, time, data }) => touch(state, 'project', subject, time, afterOf(data.changes)),
  'project.deleted': (state, event) => {
    const { subject, time } = event;
    touch(state, 'project', subject, time, { deleted_at: time });
    revokeKeys(state, event, { project_id: subject });
  },
};

/** Sessions and passwords are not rebuilt. */
const ofUsers: Pick<Appliers, Extract<ManagementType, `user.${string}`>> = {
  'user.registered': (state, { subject, time, data }) =>
    state.put('account', subject, { email: data.email, name: data.subject?.name, created_at: time }),
  'user.updated': (state, { subject, data }) => state.change('account', subject, afterOf(data.changes)),
  // The log of the deployment has them too.
  'user.operator_added': null,
  'user.operator_removed': null,
  'user.login_succeeded': null,
  'user.login_failed': null,
  'user.logged_out': null,
  'user.session_ended': null,
  'user.password_changed': null,
  'user.refresh_token_reused': null,
  'user.password_reset_requested': null,
  'user.password_reset': null,
};

const ofOrganization: Appliers = {
  ...quarantined,
  ...ofKeys,
  ...ofCredits,
  ...ofMembers,
  ...ofProjects,
  ...ofUsers,
  'organization.created': (state, { subject, time, data }) => {
    state.put('organization', subject, {
      name: data.name,
      personal: data.personal,
      created_at: time,
      updated_at: time,
      suspended_at: null,
      scope_ceiling: null,
      leak_policy: 'revoke_live',
      key_policy: NO_KEY_POLICY,
      version: 1,
    });
    state.put('member', data.owner_id, { role: 'owner', created_at: time });
  },
  'organization.updated': (state, { subject, time, data }) =>
    touch(state, 'organization', subject, time, afterOf(data.changes)),
  'organization.suspended': (state, { subject, time }) =>
    touch(state, 'organization', subject, time, { suspended_at: time }),
  'organization.key_policy_changed': (state, { subject, time, data }) =>
    touch(state, 'organization', subject, time, { key_policy: changedPolicy(state, subject, data.changes) }),
  'organization.resumed': (state, { subject, time, data }) =>
    touch(state, 'organization', subject, time, {
      suspended_at: null,
      ...(data.changes && { key_policy: changedPolicy(state, subject, data.changes) }),
    }),
  'operator.read': null,
  'audit_log.epoch_started': null,
  'audit_log.key_rotated': null,
  'audit_log.state_recorded': null,
  'audit_log.retention_changed': null,
  'audit_log.hold_placed': null,
  'audit_log.hold_lifted': null,
  'audit_log.pruned': null,
};
