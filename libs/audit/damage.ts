import { fromUuid } from '#libs/contract/ids.js';
import { DomainError } from '#libs/platform/errors.js';

/**
 * The error for entries that cannot be read, because rows are missing in the database or a body is damaged. All other
 * entries of the log can be read.
 * @param organizationId a bare UUID
 */
export function damaged(organizationId: string, first: number, below: number, cause?: unknown): DomainError {
  const log = `the audit log of ${fromUuid('org', organizationId)}`;
  return new DomainError('audit_log_damaged', `The events ${first} to ${below - 1} of ${log} cannot be read`, {
    cause,
  });
}

/** The error for entries below the minimum of their log. */
export function pruned(organizationId: string, minimum: number): DomainError {
  return new DomainError(
    'audit_log_pruned',
    `The events below ${minimum} of the audit log of ${organizationId} were pruned, because their retention has ended`,
  );
}
