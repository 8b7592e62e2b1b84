import { z } from 'zod';
import { ApiKeyStatus, Environment } from '#libs/contract/api-key-schemas.js';
import { listApiKeys } from '#libs/contract/api-keys.js';
import { idOf } from '#libs/contract/ids.js';
import { searchText } from '#libs/contract/lists.js';
import { typedText } from '../ui/search-values.js';

const { sort } = listApiKeys.query.shape;
const days = z.int().min(1).max(3650);

/** The search parameters of a list of keys. */
export const apiKeysSearch = z.strictObject({
  search: typedText.pipe(searchText).optional(),
  status: ApiKeyStatus.optional(),
  environment: Environment.optional(),
  project: idOf('proj').optional(),
  /** The number of days without a use. `true` means 90. */
  unused: z.union([z.literal(true), days]).optional(),
  /** The number of days within which a key expires, or `never`. */
  expires: z.union([z.literal('never'), days]).optional(),
  /** Whether to show only keys without a rate limit. */
  limits: z.literal('none').optional(),
  /** Keys that break the key policy, or that it disables soon because nobody uses them. */
  policy: z.enum(['broken', 'disables']).optional(),
  sort: sort.unwrap().optional(),
  /** Whether the form for a new key is open. */
  create: z.literal(true).optional(),
});
export type ApiKeysSearch = z.infer<typeof apiKeysSearch>;

export const apiKeySearch = z.strictObject({
  range: z.enum(['24h', '7d', '30d']).optional(),
  by: z.enum(['outcome', 'endpoint']).optional(),
});
export type ApiKeySearch = z.infer<typeof apiKeySearch>;
