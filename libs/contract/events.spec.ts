import { describe, expect, it } from '@jest/globals';
import { DomainEvent, EventEnvelope } from './events.js';

const common = {
  specversion: '1.0',
  id: '01a1fa87-0cbf-7692-980d-109b3f69b0a6',
  source: 'https://keys.example.com',
  time: '2026-11-20T19:55:17.055Z',
  datacontenttype: 'application/json',
};
const org = 'org_01m7x8e2jmepwajdepw3q2qspf';
const user = 'user_01m7x8e2jmeab9mr1vyfg3p508';
const key = 'key_01m7x8e321e0c9ct382g7f705r';
const secret = 'secret_01m7x8e321ef0vf5jtqxppnjy4';
const session = 'session_01m7x8e2spesabexb98rz8j9vc';
const byUser = {
  organization_id: org,
  actor: { type: 'user', id: user },
  ip: '192.0.2.1',
  user_agent: 'curl/8.0',
  request_id: 'req_1',
  seq: 7,
};
const byKey = { ...byUser, actor: { type: 'api_key', id: key } };
const byNobody = { ...byUser, actor: { type: 'anonymous', id: null }, ip: null, user_agent: null };

const bySystem = { ...byNobody, actor: { type: 'system', id: null } };

const byOperator = { ...byUser, actor: { type: 'operator', id: user } };
const invitation = 'inv_01m7x8e2spesabexb98rz8j9vc';
const project = 'proj_01m7x8e2spesabexb98rz8j9vc';
const grant = 'grant_01m7x8e2spesabexb98rz8j9vc';
const changes = { name: { before: 'a', after: 'b' } };

/**
 * An event of each type as version 0.1.0 wrote it. Audit logs contain such events and cannot be rewritten: never change
 * or remove a line here, only add lines.
 */
const golden = [
  { type: 'organization.created', subject: org, data: { ...byUser, name: 'Ada', owner_id: user } },
  { type: 'user.registered', subject: user, data: { ...byUser, email: 'ada@example.com' } },
  { type: 'user.login_succeeded', subject: user, data: { ...byUser, session_id: session } },
  { type: 'user.login_failed', subject: user, data: byNobody },
  { type: 'user.logged_out', subject: user, data: { ...byUser, session_id: session } },
  { type: 'user.session_ended', subject: user, data: { ...byUser, session_id: session } },
  {
    type: 'api_key.leaked',
    subject: key,
    data: { ...byNobody, secret_id: secret, source: 'gitleaks', url: 'https://example.com/x', revoked: true },
  },
  { type: 'user.updated', subject: user, data: { ...byUser, changes } },
  { type: 'user.password_changed', subject: user, data: { ...byUser, ended_session_ids: [session] } },
  { type: 'user.refresh_token_reused', subject: user, data: { ...byUser, session_id: session } },
  {
    type: 'api_key.created',
    subject: key,
    data: { ...byUser, secret_id: secret, name: 'k', environment: 'test', scopes: ['a:read'], expires_at: null },
  },
  {
    type: 'api_key.used',
    subject: key,
    data: { ...byKey, method: 'GET', path: '/x', secret_id: secret, cost: 1, scopes: [], verified_by: byUser.actor },
  },
  {
    type: 'api_key.used',
    subject: key,
    data: { ...byKey, method: null, path: null, secret_id: secret, cost: 0, scopes: [] },
  },
  {
    type: 'api_key.used',
    subject: key,
    data: {
      ...byKey,
      method: 'GET',
      path: '/x',
      credential: 'public_key',
      origin: 'https://shop.example',
      cost: 1,
      scopes: [],
    },
  },
  {
    type: 'api_key.denied',
    subject: key,
    data: { ...byNobody, method: 'GET', path: '/x', code: 'expired', scopes: [], count: 3 },
  },
  {
    type: 'api_key.created',
    subject: key,
    data: {
      ...byKey,
      secret_id: secret,
      number: 42,
      prefix: 'cagi_4fQ9aZ',
      name: 'k',
      environment: 'live',
      scopes: ['a:read'],
      expires_at: null,
    },
  },
  {
    type: 'api_key.rotated',
    subject: key,
    data: { ...byUser, secret_id: secret, previous_secret_id: secret, prefix: 'cagi_7hK2bM' },
  },
  { type: 'api_key.rotated', subject: key, data: { ...byUser, secret_id: secret, previous_secret_id: secret } },
  {
    type: 'api_key.rotated',
    subject: key,
    data: {
      ...byUser,
      secret_id: secret,
      previous_secret_id: secret,
      previous_secret_ends_at: '2026-11-21T00:00:00.000Z',
    },
  },
  {
    type: 'api_key.updated',
    subject: key,
    data: { ...byKey, changes: { name: { before: 'a', after: 'b' }, scopes: { before: ['a:read'], after: ['a:*'] } } },
  },
  {
    type: 'api_key.expiring',
    subject: key,
    data: { ...bySystem, expires_at: '2026-11-27T00:00:00.000Z', days_left: 7 },
  },
  { type: 'api_key.expired', subject: key, data: { ...bySystem, expires_at: '2026-11-20T00:00:00.000Z' } },
  { type: 'api_key.enabled', subject: key, data: byUser },
  { type: 'api_key.disabled', subject: key, data: byUser },
  { type: 'api_key.revoked', subject: key, data: { ...byUser, deleted: true } },
  {
    type: 'api_key.revoked',
    subject: key,
    data: { ...byUser, project_id: project, deleted: false, because: 'project_deleted' },
  },
  { type: 'user.password_reset_requested', subject: user, data: byOperator },
  { type: 'user.password_reset', subject: user, data: { ...byNobody, ended_session_ids: [session] } },
  { type: 'user.operator_added', subject: user, data: { ...byUser, invitation_id: invitation } },
  { type: 'user.operator_removed', subject: user, data: byOperator },
  { type: 'organization.updated', subject: org, data: { ...byUser, changes } },
  { type: 'organization.suspended', subject: org, data: { ...byOperator, reason: 'unpaid' } },
  { type: 'organization.resumed', subject: org, data: byOperator },
  { type: 'invitation.created', subject: invitation, data: { ...byUser, role: 'viewer', email: 'bob@example.com' } },
  { type: 'invitation.created', subject: invitation, data: { ...byOperator, role: null, email: null } },
  { type: 'invitation.revoked', subject: invitation, data: byUser },
  { type: 'member.added', subject: user, data: { ...byUser, role: 'viewer', invitation_id: invitation } },
  { type: 'member.role_changed', subject: user, data: { ...byUser, before: 'viewer', after: 'admin' } },
  { type: 'member.removed', subject: user, data: { ...byUser, role: 'admin', revoked_api_keys: 2 } },
  { type: 'project.created', subject: project, data: { ...byUser, name: 'Shop' } },
  { type: 'project.updated', subject: project, data: { ...byUser, changes } },
  { type: 'project.deleted', subject: project, data: { ...byUser, revoked_api_keys: 0 } },
  { type: 'user.login_failed', subject: org, data: { ...byNobody, count: 31 } },
  {
    type: 'user.password_reset',
    subject: user,
    data: { ...byNobody, ended_sessions: 101, ended_session_ids: [session] },
  },
  {
    type: 'member.role_changed',
    subject: user,
    data: { ...byUser, before: 'viewer', after: 'admin', invitation_id: invitation },
  },
  {
    type: 'api_key.created',
    subject: key,
    data: {
      ...byUser,
      secret_id: secret,
      name: 'k',
      environment: 'test',
      scopes: ['a:read'],
      expires_at: null,
      description: null,
      external_id: 'cus_1',
      metadata: { team: 'a' },
      public_key: 'pk_test_1',
      allowed_domains: ['*.example.com'],
      public_scopes: null,
      allowed_ips: ['192.0.2.0/24'],
      accountable_user_id: user,
      own_keys_only: false,
    },
  },
  {
    type: 'api_key.imported',
    subject: key,
    data: {
      ...byUser,
      secret_id: secret,
      number: 7,
      prefix: '',
      name: 'k',
      environment: 'test',
      scopes: ['a:read'],
      expires_at: null,
    },
  },
  {
    type: 'api_key.created',
    subject: key,
    data: {
      ...byUser,
      secret_id: secret,
      name: 'k',
      environment: 'test',
      scopes: ['a:read'],
      expires_at: null,
      rate_limits: [{ name: 'per-minute', limit: 100, window_seconds: 60 }],
    },
  },
  {
    type: 'api_key.updated',
    subject: key,
    data: {
      ...byUser,
      changes: { rate_limits: { before: [], after: [{ name: 'per-minute', limit: 100, window_seconds: 60 }] } },
    },
  },
  { type: 'credits.granted', subject: org, data: { ...byOperator, amount: 5, balance: 7, reason: 'trial' } },
  { type: 'credits.granted', subject: org, data: { ...bySystem, amount: 5, balance: 5, reason: null } },
  { type: 'credits.removed', subject: org, data: { ...byOperator, balance: 7 } },
  { type: 'credits.low', subject: org, data: { ...bySystem, balance: 1, low_below: 2 } },
  { type: 'operator.read', subject: org, data: { ...byOperator, method: 'GET', path: '/api/v1/audit/events' } },
  {
    type: 'operator.read',
    subject: org,
    data: {
      ...byOperator,
      actor: { ...byOperator.actor, name: 'Op', email: 'op@example.com' },
      organization: { id: org, name: 'Engines' },
      method: 'GET',
      path: '/api/v1/usage',
      reads: [
        { method: 'GET', path: '/api/v1/usage', request_id: 'req_1' },
        { method: 'GET', path: '/api/v1/credits', request_id: 'req_2' },
      ],
    },
  },
  {
    type: 'member.removed',
    subject: user,
    data: {
      ...byUser,
      actor: { ...byUser.actor, name: 'Ada', email: 'ada@example.com' },
      subject: { name: 'Bob', email: 'bob@example.com' },
      role: 'viewer',
      revoked_api_keys: 0,
    },
  },
  { type: 'user.registered', subject: user, data: byUser },
  {
    type: 'audit_log.epoch_started',
    subject: org,
    data: { ...bySystem, epoch: 2, earlier: { anchor_id: '00ff', epoch: 1, size: 7, root: 'AA==' } },
  },
  {
    type: 'organization.key_policy_changed',
    subject: org,
    data: { ...byUser, changes: { max_lifetime_days: { before: null, after: 90 } } },
  },
  {
    type: 'organization.resumed',
    subject: org,
    data: { ...byOperator, changes: { disable_unused_from: { before: null, after: '2026-11-27T19:55:17.055Z' } } },
  },
  { type: 'api_key.disabled', subject: key, data: { ...bySystem, because: 'unused', unused_for_days: 90 } },
  { type: 'audit_log.retention_changed', subject: org, data: { ...byOperator, before: null, after: 90 } },
  { type: 'audit_log.hold_placed', subject: org, data: { ...byOperator, reason: 'Case 4711' } },
  { type: 'audit_log.hold_lifted', subject: org, data: { ...byOperator, reason: 'Case 4711' } },
  { type: 'audit_log.pruned', subject: org, data: { ...bySystem, from: 0, below: 256 } },
  { type: 'audit_log.key_rotated', subject: org, data: { ...bySystem, epoch: 1, vkey: 'log+00ff+AA==' } },
  {
    type: 'audit_log.key_rotated',
    subject: org,
    data: { ...bySystem, epoch: 1, vkey: 'log+00ff+AA==', note: 'note\n', previous_key_ends_at: common.time },
  },
  { type: 'event.quarantined', subject: org, data: { ...bySystem, quarantine_id: 7, sha256: '00ff', count: 1 } },
  { type: 'event.requeued', subject: org, data: { ...bySystem, quarantine_id: 7, sha256: '00ff', count: null } },
  { type: 'organization.created', subject: org, data: { ...byUser, owner_id: user } },
  { type: 'organization.updated', subject: org, data: { ...byUser, changes: { name: {} } } },
  { type: 'invitation.created', subject: invitation, data: { ...byUser, role: 'viewer' } },
  { type: 'invitation.revoked', subject: invitation, data: { ...byUser, subject: { email: 'bob@example.com' } } },
  { type: 'organization.created', subject: org, data: { ...byUser, name: 'Ada', owner_id: user, personal: true } },
  {
    type: 'invitation.created',
    subject: invitation,
    data: { ...byUser, role: 'viewer', email: null, expires_at: '2026-11-27T00:00:00.000Z' },
  },
  { type: 'project.created', subject: project, data: { ...byUser, name: 'Shop', description: null } },
  {
    type: 'credits.granted',
    subject: org,
    data: { ...byOperator, amount: 5, balance: 7, reason: null, grant_id: grant, low_below: 1 },
  },
  {
    type: 'api_key.rotated',
    subject: key,
    data: {
      ...byUser,
      secret_id: secret,
      previous_secret_id: secret,
      ends: [{ secret_id: secret, ends_at: '2026-11-21T00:00:00.000Z' }],
    },
  },
  {
    type: 'audit_log.state_recorded',
    subject: org,
    data: {
      ...bySystem,
      below: 256,
      part: 1,
      parts: 1,
      state: [
        ['project', project, { name: 'Shop' }],
        ['project', project, 'description', '"Sel'],
      ],
    },
  },
];

describe('events of version 0.1.0', () => {
  it.each(golden.map((event) => ({ event })))('$event.type is still read with all its fields', ({ event }) => {
    expect(DomainEvent.parse({ ...common, ...event })).toEqual({ ...common, ...event });
    expect(EventEnvelope.parse({ ...common, ...event })).toEqual({ ...common, ...event });
  });

  it('cover every event type', () => {
    const types = DomainEvent.options.map((option) => option.shape.type.value);
    expect([...new Set(golden.map((event) => event.type))].toSorted()).toEqual(types.toSorted());
  });
});

describe('an event of a later version', () => {
  it('is kept by a worker that does not know the type', () => {
    const event = { ...common, type: 'project.painted', subject: 'proj_1', data: { ...byUser, colour: 'blue' } };
    expect(EventEnvelope.parse(event)).toEqual(event);
    expect(DomainEvent.safeParse(event).success).toBe(false);
  });
});
