import { DomainError } from '#libs/platform/errors.js';

/** A caller without access to an object gets the same error as for a missing one, so that an id reveals nothing. */
export function noSuchOrganization(): DomainError {
  return new DomainError('not_found', 'There is no such organization');
}

export function noSuchProject(): DomainError {
  return new DomainError('not_found', 'There is no such project');
}

export function noSuchApiKey(): DomainError {
  return new DomainError('not_found', 'There is no such API key');
}

/** Replaces `not_found` for an organization by the error for a missing object of it. */
export async function asMissing<T>(missing: () => DomainError, require: () => Promise<T>): Promise<T> {
  try {
    return await require();
  } catch (error) {
    throw error instanceof DomainError && error.code === 'not_found' ? missing() : error;
  }
}
