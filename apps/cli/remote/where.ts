import { InvalidArgumentError } from 'commander';
import type { KeyFilter } from '#libs/contract/bulk-changes.js';
import { days, valuesOf } from './options.js';

/** The conditions of `--where`, by which keys are selected. A project is still a name. */
export type Where = Partial<KeyFilter>;

const oneOf =
  <Value extends string>(values: readonly Value[]) =>
  (text: string): Value => {
    const value = values.find((known) => known === text);
    if (value) return value;
    throw new InvalidArgumentError(`The value must be one of ${values.join(', ')}.`);
  };

const flag = (text: string | undefined): true => {
  if (text === undefined) return true;
  throw new InvalidArgumentError('This condition takes no value.');
};

const text = (value: string) => value;

const STATUSES = valuesOf<NonNullable<Where['status']>>({ active: true, disabled: true, expired: true, revoked: true });
const ENVIRONMENTS = valuesOf<NonNullable<Where['environment']>>({ test: true, live: true });

interface Condition {
  readonly field: keyof Where;
  readonly needsValue: boolean;
  readonly read: (value: string) => unknown;
}

const conditions: Readonly<Record<string, Condition>> = {
  status: { field: 'status', needsValue: true, read: oneOf(STATUSES) },
  environment: { field: 'environment', needsValue: true, read: oneOf(ENVIRONMENTS) },
  project: { field: 'project_id', needsValue: true, read: text },
  'external-id': { field: 'external_id', needsValue: true, read: text },
  search: { field: 'search', needsValue: true, read: text },
  'unused-for': { field: 'unused_for_days', needsValue: true, read: days },
  'expires-within': { field: 'expires_within_days', needsValue: true, read: days },
  'never-expires': { field: 'never_expires', needsValue: false, read: flag },
  'breaks-policy': { field: 'breaks_policy', needsValue: false, read: flag },
  'disabled-within': { field: 'disabled_within_days', needsValue: true, read: days },
  'no-rate-limit': { field: 'no_rate_limit', needsValue: false, read: flag },
};

/** Adds a condition such as `status=active`, `unused-for=90d` or `never-expires`. */
export function collectWhere(given: string, before: Where = {}): Where {
  const [, name = '', value] = /^([^=]*)(?:=(.*))?$/s.exec(given) ?? [];
  const condition = Object.hasOwn(conditions, name) ? conditions[name] : undefined;
  if (!condition) {
    throw new InvalidArgumentError(`The conditions are ${Object.keys(conditions).join(', ')}.`);
  }
  if (condition.field in before) throw new InvalidArgumentError('Each condition can be given once.');
  if (condition.needsValue && !value) throw new InvalidArgumentError(`It needs a value: ${name}=VALUE.`);
  return { ...before, [condition.field]: condition.read(value!) };
}
