import { z } from 'zod';
import { Scope } from '#libs/contract/scopes.js';

export const stackNames = ['curl', 'express', 'fastify', 'nest', 'python', 'go', 'nginx', 'caddy'] as const;
export type StackName = (typeof stackNames)[number];

/** What the reader chose, so that colleagues get the same page. */
export const StartSearch = z.strictObject({
  scope: Scope.optional(),
  stack: z.enum(stackNames).optional(),
});
