import type { User } from './user.entity.js';

/** An account as the API shows it to its user. */
export function presentUser({ id, email, name, createdAt }: User) {
  return { id, email, name, created_at: createdAt.toISOString() };
}
