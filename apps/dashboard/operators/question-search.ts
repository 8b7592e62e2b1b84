import { z } from 'zod';
import { searchAuditLogs } from '#libs/contract/audit.js';
import { acceptedBy } from '../ui/search-values.js';

const { ip, request_id, key_id, secret_id, verified_by } = searchAuditLogs.query.shape;

/** The value to look for, in the address. It has the same name as in the API, and there is one at a time. */
export const Questions = z
  .strictObject({
    ip: acceptedBy(ip).optional(),
    request_id: acceptedBy(request_id).optional(),
    key_id: acceptedBy(key_id).optional(),
    secret_id: acceptedBy(secret_id).optional(),
    verified_by: acceptedBy(verified_by).optional(),
  })
  .superRefine((questions: Partial<Record<string, string>>, context) => {
    const given = Object.entries(questions).filter(([, value]) => value !== undefined);
    for (const [name] of given.slice(1))
      context.addIssue({ code: 'custom', path: [name], message: 'is a second value to look for' });
  });
export type Questions = z.infer<typeof Questions>;
export type Question = readonly [name: keyof Questions, value: string];

export function questionOf(questions: Questions): Question | undefined {
  // A parameter may be present without a value.
  const entries: [string, string | undefined][] = Object.entries(questions);
  const first = entries.find(([, value]) => value !== undefined);
  return first as Question | undefined;
}
