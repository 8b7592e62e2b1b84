import { z } from 'zod';
import { ApiKeyStatus, Environment } from '#libs/contract/api-key-schemas.js';
import { listApiKeys } from '#libs/contract/api-keys.js';
import { idOf } from '#libs/contract/ids.js';
import { searchText } from '#libs/contract/lists.js';

const { sort } = listApiKeys.query.shape;

/** The search parameters of a list of keys. Invalid values are ignored. */
export const apiKeysSearch = z.object({
  // The router reads `search=42` as a number.
  search: z.coerce.string().pipe(searchText).optional().catch(undefined),
  status: ApiKeyStatus.optional().catch(undefined),
  environment: Environment.optional().catch(undefined),
  project: idOf('proj').optional().catch(undefined),
  unused: z.literal(true).optional().catch(undefined),
  sort: sort.unwrap().optional().catch(undefined),
  /** Whether the form for a new key is open. */
  create: z.literal(true).optional().catch(undefined),
});
export type ApiKeysSearch = z.infer<typeof apiKeysSearch>;

export const apiKeySearch = z.object({
  range: z.enum(['24h', '7d', '30d']).optional().catch(undefined),
  by: z.enum(['outcome', 'endpoint']).optional().catch(undefined),
});
export type ApiKeySearch = z.infer<typeof apiKeySearch>;
