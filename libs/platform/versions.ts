import { isDeepStrictEqual } from 'node:util';
import { etagOf } from '#libs/contract/preconditions.js';
import { DomainError } from './errors.js';

/** Each field that an update really changes, by its API name, for the event of the update. */
export type FieldChanges = Record<string, { before: unknown; after: unknown }>;

export function changesOf<T extends object>(before: T, wanted: Partial<T>): FieldChanges {
  return Object.fromEntries(
    Object.entries(wanted)
      .filter(([, after]) => after !== undefined)
      .map(([field, after]): [string, FieldChanges[string]] => [field, { before: before[field as keyof T], after }])
      .filter(([, change]) => !isDeepStrictEqual(change.before, change.after)),
  );
}

/** An object with a version that counts its changes. */
interface Versioned {
  version: number;
  updatedAt: Date;
}

export function touch(object: Versioned, now: Date): void {
  object.updatedAt = now;
  object.version += 1;
}

/** @throws DomainError `precondition_failed` if `If-Match` names another version. */
export function refuseOtherVersion({ version }: Versioned, ifMatch: string | undefined): void {
  if (ifMatch !== undefined && ifMatch !== etagOf(version)) throw new DomainError('precondition_failed');
}
