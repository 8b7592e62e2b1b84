import { z } from 'zod';
import { searchAuditLogs } from '#libs/contract/audit.js';

const { ip, request_id, key_id, secret_id, verified_by } = searchAuditLogs.query.shape;

/** The value to look for, in the address. It has the same name as in the API. */
export const Questions = z.object({
  ip: ip.catch(undefined),
  request_id: request_id.catch(undefined),
  key_id: key_id.catch(undefined),
  secret_id: secret_id.catch(undefined),
  verified_by: verified_by.catch(undefined),
});
export type Questions = z.infer<typeof Questions>;
export type Question = readonly [name: keyof Questions, value: string];

export function questionOf(questions: Questions): Question | undefined {
  const [first] = Object.entries(questions).filter(([, value]) => value !== undefined);
  return first as Question | undefined;
}
