import { z } from 'zod';
import { idOf } from '#libs/contract/ids.js';
import { TimeZone } from '#libs/contract/time-zones.js';
import { UsageGrouping, UsageInterval, UsageSurface } from '#libs/contract/usage.js';
import { timesOnlyWithCustom } from '../ui/search-values.js';

export const UsagePeriod = z.enum(['24h', '7d', '30d', '90d', 'custom']);
export type UsagePeriod = z.infer<typeof UsagePeriod>;

/** The state of the page in its address. The default choice of a field counts as none. */
export const UsageSearch = z
  .strictObject({
    period: UsagePeriod.optional(),
    /** The first and the last day, in the time zone of the page. */
    from: z.iso.date().optional(),
    to: z.iso.date().optional(),
    /** The time zone; by default that of the browser. */
    zone: TimeZone.optional(),
    interval: UsageInterval.optional(),
    group: UsageGrouping.transform((group) => (group === 'none' ? undefined : group)).optional(),
    surface: UsageSurface.transform((surface) => (surface === 'application' ? undefined : surface)).optional(),
    project_id: idOf('proj').optional(),
    view: z.literal('table').optional(),
  })
  .superRefine(timesOnlyWithCustom('period'));
export type UsageSearch = z.infer<typeof UsageSearch>;
