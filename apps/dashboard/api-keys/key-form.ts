import type { RouteInput } from '#libs/contract/route.js';
import type { createApiKey, updateApiKey } from '#libs/contract/api-keys.js';
import { MAX_SCOPES } from '#libs/contract/api-key-schemas.js';
import { mapKeyTexts, type KeyTextName } from '#libs/contract/api-key-texts.js';
import { Domain } from '#libs/contract/domains.js';
import type { KeyPolicy } from '#libs/contract/key-policy.js';
import { breachesOf } from '#libs/contract/key-policy-rules.js';
import { Network } from '#libs/contract/networks.js';
import { RateLimit } from '#libs/contract/rate-limits.js';
import { fieldErrors } from '../ui/field-errors.js';
import type { ApiKey } from './api-keys.js';

/** The fields that the forms for new and for existing keys have in common. An empty text means none. */
export interface KeyForm extends Readonly<Record<KeyTextName, string>> {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly allowed_domains: readonly string[];
  readonly public_scopes: readonly string[] | null;
  readonly allowed_ips: readonly string[];
  readonly rate_limits: readonly RateLimitEntry[];
  readonly metadata: readonly MetadataEntry[];
}

/** A number field has a text value while it is empty. */
export interface RateLimitEntry extends Omit<RateLimit, 'limit'> {
  readonly limit: number | string;
}

export interface MetadataEntry {
  readonly name: string;
  readonly value: string;
}

export interface NewKeyForm extends KeyForm {
  readonly environment: ApiKey['environment'];
  readonly project_id: string | null;
  readonly expiry: Expiry;
  /** The value of a date field, for a custom expiry. */
  readonly expiry_date: string;
}

export interface SettingsForm extends KeyForm {
  /** The value of a field for a local date and time; empty for never. */
  readonly expires_at: string;
}

export const expiryPresets = {
  never: 'Never',
  '7': 'In 7 days',
  '30': 'In 30 days',
  '90': 'In 90 days',
  '365': 'In 365 days',
  custom: 'On a date …',
} as const;
type Expiry = keyof typeof expiryPresets;

/** The maximum of `expires_in_days` in the contract. */
const MOST_DAYS = 3650;
const DAY_MS = 86_400_000;

export const emptyKey: KeyForm = {
  name: '',
  ...mapKeyTexts(() => ''),
  scopes: [],
  allowed_domains: [],
  public_scopes: null,
  allowed_ips: [],
  rate_limits: [],
  metadata: [],
};

export function settingsOf(apiKey: ApiKey): SettingsForm {
  return {
    name: apiKey.name,
    ...mapKeyTexts((text) => apiKey[text] ?? ''),
    scopes: apiKey.scopes,
    allowed_domains: apiKey.allowed_domains,
    public_scopes: apiKey.public_scopes,
    allowed_ips: apiKey.allowed_ips,
    rate_limits: apiKey.rate_limits,
    metadata: Object.entries(apiKey.metadata).map(([name, value]) => ({ name, value })),
    expires_at: apiKey.expires_at ? localDateTime(new Date(apiKey.expires_at)) : '',
  };
}

/** The fields in which two forms differ. The order within a list is ignored. */
export function changedFields(before: SettingsForm, after: SettingsForm): (keyof SettingsForm)[] {
  return (Object.keys(before) as (keyof SettingsForm)[]).filter(
    (field) => asCompared(before[field]) !== asCompared(after[field]),
  );
}

function asCompared(value: SettingsForm[keyof SettingsForm]): string {
  return JSON.stringify(Array.isArray(value) ? value.map((item) => JSON.stringify(item)).toSorted() : value);
}

/** Applies the user's own changes on top of another user's changes. */
export function rebase(base: SettingsForm, own: SettingsForm, theirs: SettingsForm): SettingsForm {
  return { ...theirs, ...pick(own, changedFields(base, own)) };
}

/** Contains only changed fields, so that other users' changes of other fields are kept. */
export function patchOf(base: SettingsForm, own: SettingsForm): RouteInput<typeof updateApiKey>['body'] {
  const body = {
    ...bodyOf(own),
    expires_at: own.expires_at ? new Date(own.expires_at).toISOString() : null,
  };
  return pick(body, changedFields(base, own));
}

export function creationOf(form: NewKeyForm, organizationId: string): RouteInput<typeof createApiKey>['body'] {
  const { public_scopes, ...body } = bodyOf(form);
  return {
    ...body,
    organization_id: organizationId,
    environment: form.environment,
    ...(public_scopes && { public_scopes }),
    ...(form.project_id && { project_id: form.project_id }),
    ...(form.expiry !== 'never' && { expires_in_days: daysUntilExpiry(form) }),
  };
}

function bodyOf(form: KeyForm) {
  return {
    name: form.name,
    ...mapKeyTexts((text) => form[text].trim() || null),
    scopes: [...form.scopes],
    allowed_domains: [...form.allowed_domains],
    public_scopes: form.public_scopes && [...form.public_scopes],
    allowed_ips: [...form.allowed_ips],
    rate_limits: form.rate_limits.map((entry) => ({ ...entry, name: entry.name.trim(), limit: Number(entry.limit) })),
    metadata: Object.fromEntries(form.metadata.map(({ name, value }) => [name.trim(), value])),
  };
}

function pick<T extends object, K extends keyof T>(object: T, keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(keys.map((key) => [key, object[key]])) as Pick<T, K>;
}

/** The API counts days from now, so a key that expires on a date expires there at the current time of day. */
function daysUntilExpiry({ expiry, expiry_date }: Pick<NewKeyForm, 'expiry' | 'expiry_date'>): number {
  return expiry === 'custom' ? daysUntil(expiry_date, new Date()) : Number(expiry);
}

function daysUntil(date: string, now: Date): number {
  const today = Date.UTC(now.getFullYear(), now.getMonth(), now.getDate());
  return Math.round((Date.parse(date) - today) / DAY_MS);
}

/** When a key that is created now will expire; null for never and for an invalid date. */
export function expiryOf(form: Pick<NewKeyForm, 'expiry' | 'expiry_date'>, now: Date): Date | null {
  if (form.expiry === 'never') return null;
  const days = form.expiry === 'custom' ? daysUntil(form.expiry_date, now) : Number(form.expiry);
  return days > 0 ? new Date(now.getTime() + days * DAY_MS) : null;
}

export const tomorrow = () => localDateTime(new Date(Date.now() + DAY_MS)).slice(0, 10);

/** The format of a date and time field: local time, without seconds. */
function localDateTime(date: Date): string {
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** Checks that need no request to the server. */
export function problemsOf(form: KeyForm): Record<string, string> {
  const names = form.metadata.map(({ name }) => name.trim());
  return {
    ...(!form.name.trim() && { name: 'A name tells you later where the key is used' }),
    ...scopesProblem('scopes', form.scopes),
    ...scopesProblem('public_scopes', form.public_scopes ?? []),
    ...listProblem('allowed_domains', form.allowed_domains, domainProblem),
    ...listProblem('allowed_ips', form.allowed_ips, networkProblem),
    ...rateLimitProblem(form.rate_limits),
    ...(names.includes('') && { metadata: 'Every entry needs a name' }),
    ...(new Set(names).size < names.length && { metadata: 'Two entries have the same name' }),
  };
}

export function tooManyScopes({ length: count }: readonly string[]): string | undefined {
  if (count <= MAX_SCOPES) return undefined;
  const excess = count - MAX_SCOPES;
  return `A key can have at most ${MAX_SCOPES} scopes, and ${count} are chosen. Remove ${excess} of them, or choose a wildcard, which counts as one`;
}

function scopesProblem(field: string, scopes: readonly string[]): Record<string, string> {
  const problem = tooManyScopes(scopes);
  return problem === undefined ? {} : { [field]: problem };
}

function rateLimitProblem(entries: readonly RateLimitEntry[]): Record<string, string> {
  const names = entries.map(({ name }) => name.trim());
  if (entries.some(({ limit }) => !(Number(limit) >= 1))) return { rate_limits: 'Every limit needs a number' };
  if (!names.every((name) => RateLimit.shape.name.safeParse(name).success)) {
    return { rate_limits: 'A name is made of a-z, 0-9, _ and -' };
  }
  return new Set(names).size < names.length ? { rate_limits: 'Two limits have the same name' } : {};
}

/** The fields of the form by which a key keeps to the rules of a key policy. */
const fieldOf = { expiry: 'expiry', lifetime: 'expiry', environment: 'environment', addresses: 'allowed_ips' } as const;

export function problemsOfNew(form: NewKeyForm, policy: KeyPolicy): Record<string, string> {
  const now = new Date();
  const days = form.expiry === 'custom' ? daysUntil(form.expiry_date, now) : 1;
  const key = {
    createdAt: now,
    expiresAt: expiryOf(form, now),
    environment: form.environment,
    allowedIps: form.allowed_ips,
  };
  return {
    ...Object.fromEntries(
      breachesOf(policy, key).map(({ rule, message }) => [fieldOf[rule], `By the key policy, the key ${message}`]),
    ),
    ...problemsOf(form),
    ...(form.scopes.length === 0 && { scopes: 'Choose at least one scope' }),
    ...(!(days >= 1 && days <= MOST_DAYS) && { expiry_date: 'Choose a date from tomorrow on, within ten years' }),
  };
}

function listProblem(field: string, items: readonly string[], problem: (item: string) => string | undefined) {
  const first = items.map((item) => ({ item, message: problem(item) })).find(({ message }) => message);
  return first ? { [field]: `${first.item} ${first.message}` } : {};
}

export function domainProblem(text: string): string | undefined {
  return Domain.safeParse(text).error?.issues[0]?.message;
}

export function networkProblem(text: string): string | undefined {
  return Network.safeParse(text).error?.issues[0]?.message;
}

export function mayNeverExpire({ require_expiry: required, max_lifetime_days: most }: KeyPolicy): boolean {
  return !required && most === null;
}

/** 90 days, or as many as the form and the key policy allow. */
function defaultExpiry({ max_lifetime_days: most }: KeyPolicy): Expiry {
  return (['90', '30', '7'] as const).find((days) => most === null || Number(days) <= most) ?? 'custom';
}

/** What a new key has at first: the key policy may not allow the usual choices. */
export function defaultsBy(policy: KeyPolicy): Pick<NewKeyForm, 'environment' | 'expiry'> {
  return { environment: policy.environments?.[0] ?? 'test', expiry: defaultExpiry(policy) };
}

/** The field errors of an API response. An error of a list item is shown at the list. */
export function keyErrors(error: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fieldErrors(error)).map(([place, message]) => {
      const field = place.split('.', 1)[0]!;
      return [field === 'expires_in_days' ? 'expiry' : field, message];
    }),
  );
}
