import type { EncodedType, NewEvent } from '#libs/outbox/event.js';
import { DomainError } from '#libs/platform/errors.js';
import { touch } from '#libs/platform/versions.js';
import type { ApiKey } from './api-key.entity.js';
import { transition, type KeyOperation, type Transition } from './key-lifecycle.js';

/** An operation on a locked key. */
export interface Operation {
  readonly apiKey: ApiKey;
  readonly now: Date;
  readonly step: Step;
  readonly record: <T extends ApiKeyEventType>(event: Pick<NewEvent<T>, 'type' | 'data'>) => void;
}

export type Step = Exclude<Transition, { readonly refused: unknown }>;

export type ApiKeyEventType = Extract<EncodedType, `api_key.${string}`>;

/** @throws DomainError if the operation does not apply to a key in this state */
export function requireTransition(apiKey: ApiKey, operation: KeyOperation, now: Date): Step {
  const step = transition(apiKey, operation, now);
  if ('refused' in step) throw new DomainError(step.refused, step.why);
  return step;
}

/** Moves the key to the target state of the operation, and records this. Does nothing if the key is in that state. */
export function enter<T extends ApiKeyEventType>(
  { apiKey, step, now, record }: Operation,
  type: T,
  data: NewEvent<T>['data'],
): void {
  if (step.from === step.to) return;
  Object.assign(apiKey, step.instants);
  if (step.instants.revokedAt) apiKey.ownRevokedAt = step.instants.revokedAt;
  touch(apiKey, now);
  record({ type, data });
}
