import { describe, expect, it } from '@jest/globals';
import { NO_KEY_POLICY } from '#libs/contract/key-policy-rules.js';
import {
  changedFields,
  creationOf,
  emptyKey,
  expiryOf,
  mayNeverExpire,
  patchOf,
  problemsOf,
  defaultsBy,
  problemsOfNew,
  rebase,
  type NewKeyForm,
  type SettingsForm,
} from './key-form.js';

const ORGANIZATION = 'org_01h455vb4pex5vsknk084sn02q';
const settings: SettingsForm = { ...emptyKey, name: 'Checkout', scopes: ['a:read', 'b:read'], expires_at: '' };
const newKey: NewKeyForm = {
  ...emptyKey,
  name: 'Checkout',
  scopes: ['a:read'],
  environment: 'live',
  project_id: null,
  expiry: 'never',
  expiry_date: '',
};

describe('a form after another user’s change', () => {
  it('does not treat another order of values as a change', () => {
    expect(changedFields(settings, { ...settings, scopes: ['b:read', 'a:read'] })).toEqual([]);
  });

  it('keeps the changed fields and takes the other fields from the new version', () => {
    const own = { ...settings, name: 'Mine' };
    const theirs = { ...settings, name: 'Theirs', description: 'New' };
    expect(rebase(settings, own, theirs)).toEqual({ ...theirs, name: 'Mine' });
  });

  it('sends only the changed fields', () => {
    const own = {
      ...settings,
      description: '  ',
      external_id: 'cus_1',
      metadata: [{ name: ' team ', value: 'tills' }],
      expires_at: '2030-01-01T10:00',
    };
    expect(patchOf(settings, own)).toEqual({
      description: null,
      external_id: 'cus_1',
      metadata: { team: 'tills' },
      expires_at: new Date('2030-01-01T10:00').toISOString(),
    });
  });
});

describe('a new key', () => {
  it('needs a scope, and expires in 90 days unless its user chooses another time', () => {
    const { expiry } = defaultsBy(NO_KEY_POLICY);
    expect(creationOf({ ...newKey, expiry }, ORGANIZATION)).toHaveProperty('expires_in_days', 90);
    expect(problemsOfNew(newKey, NO_KEY_POLICY)).toEqual({});
    expect(problemsOfNew({ ...newKey, scopes: [] }, NO_KEY_POLICY)).toEqual({ scopes: 'Choose at least one scope' });
    const body = creationOf(newKey, ORGANIZATION);
    expect(body).toMatchObject({ name: 'Checkout', organization_id: ORGANIZATION, scopes: ['a:read'] });
    expect(body).not.toHaveProperty('expires_in_days');
    expect(body).not.toHaveProperty('public_scopes');
  });

  it('has at most 100 scopes, and its public key as well', () => {
    const scopes = (count: number) => Array.from({ length: count }, (_, part) => `shop:part-${part}`);
    const most = { ...newKey, scopes: scopes(100), public_scopes: scopes(100) };
    expect(problemsOfNew(most, NO_KEY_POLICY)).toEqual({});
    const problem = expect.stringMatching(/^A key can have at most 100 scopes, and 103 are chosen\. Remove 3 of them/);
    expect(problemsOfNew({ ...most, scopes: scopes(103) }, NO_KEY_POLICY)).toEqual({ scopes: problem });
    expect(problemsOfNew({ ...most, public_scopes: scopes(103) }, NO_KEY_POLICY)).toEqual({ public_scopes: problem });
  });

  it('expires after a preset or on a date, at the current time of day', () => {
    const now = new Date(2030, 0, 30, 15, 20);
    expect(expiryOf({ expiry: '30', expiry_date: '' }, now)).toEqual(new Date(now.getTime() + 30 * 86_400_000));
    expect(expiryOf({ expiry: 'custom', expiry_date: '2030-02-01' }, now)).toEqual(new Date(2030, 1, 1, 15, 20));
    expect(expiryOf({ expiry: 'custom', expiry_date: '2030-01-30' }, now)).toBeNull();
    expect(problemsOfNew({ ...newKey, expiry: 'custom', expiry_date: '' }, NO_KEY_POLICY)).toHaveProperty(
      'expiry_date',
    );
  });

  it('starts with what the key policy allows, and shows each broken rule at its field', () => {
    const policy = {
      ...NO_KEY_POLICY,
      max_lifetime_days: 60,
      environments: ['live' as const],
      allowed_ips: ['10.0.0.0/8'],
    };
    expect(defaultsBy(policy)).toEqual({ environment: 'live', expiry: '30' });
    expect(defaultsBy({ ...policy, max_lifetime_days: 3 }).expiry).toBe('custom');
    expect(defaultsBy({ ...NO_KEY_POLICY, require_expiry: true }).expiry).toBe('90');
    expect(defaultsBy({ ...NO_KEY_POLICY, max_lifetime_days: 365 }).expiry).toBe('90');
    expect([policy, { ...NO_KEY_POLICY, require_expiry: true }, NO_KEY_POLICY].map(mayNeverExpire)).toEqual([
      false,
      false,
      true,
    ]);
    const wrong = { ...newKey, environment: 'test' as const, expiry: '90' as const };
    expect(Object.keys(problemsOfNew(wrong, policy))).toEqual(['expiry', 'environment', 'allowed_ips']);
    expect(problemsOfNew({ ...newKey, expiry: '30', allowed_ips: ['10.0.0.1'] }, policy)).toEqual({});
  });

  it('shows an error at the field of an invalid domain, network, limit or metadata', () => {
    const form = {
      ...emptyKey,
      allowed_domains: ['app.example.com', 'https://example.com'],
      allowed_ips: ['10.0.0.0/33'],
      rate_limits: [{ name: 'per-minute', limit: '', window_seconds: 60 }],
      metadata: [{ name: '', value: 'x' }],
    };
    expect(Object.keys(problemsOf(form))).toEqual([
      'name',
      'allowed_domains',
      'allowed_ips',
      'rate_limits',
      'metadata',
    ]);
    expect(problemsOf(form)['allowed_domains']).toMatch(/^https:\/\/example\.com must be a host/);
  });
});
