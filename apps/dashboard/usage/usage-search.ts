import { z } from 'zod';
import { idOf } from '#libs/contract/ids.js';
import { UsageGrouping, UsageInterval, UsageSurface } from '#libs/contract/usage.js';

export const UsagePeriod = z.enum(['24h', '7d', '30d', '90d', 'custom']);
export type UsagePeriod = z.infer<typeof UsagePeriod>;

/** The state of the page in its address. Unknown values are ignored. */
export const UsageSearch = z.object({
  period: UsagePeriod.optional().catch(undefined),
  /** The first and the last day, in UTC. */
  from: z.iso.date().optional().catch(undefined),
  to: z.iso.date().optional().catch(undefined),
  interval: UsageInterval.optional().catch(undefined),
  group: UsageGrouping.exclude(['none']).optional().catch(undefined),
  surface: UsageSurface.exclude(['application']).optional().catch(undefined),
  project_id: idOf('proj').optional().catch(undefined),
  view: z.literal('table').optional().catch(undefined),
});
export type UsageSearch = z.infer<typeof UsageSearch>;
