import type { Client } from '#libs/client/client.js';
import type { Usage, UsageSurface } from '#libs/contract/usage.js';
import { Days } from '#libs/contract/time-zones.js';
import type { CommandProcess } from '../command-process.js';
import { EXIT_USAGE } from '../exit-codes.js';
import { connect } from './connection.js';
import { displayNames, type Names } from './display-names.js';
import { Failure } from './failure.js';
import { findId } from './find-id.js';
import { chosenOrganization, organizationOf } from './organizations.js';
import { json, layoutOf, note, write } from './output.js';
import { table, type Column } from './table.js';
import { localTime } from './text.js';

export interface UsageOptions {
  readonly key?: string;
  readonly organization?: string;
  readonly from?: string;
  readonly to?: string;
  readonly interval?: 'hour' | 'day';
  readonly timeZone?: string;
  readonly groupBy?: 'outcome' | 'endpoint' | 'api_key';
  readonly surface?: UsageSurface;
  readonly json?: boolean;
}

type Row = Usage['data'][number];

export async function showUsage(options: UsageOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const usage = await readUsage(api, options, host);
  if (options.json) return write(host, json(host, usage));
  if (usage.data.length === 0) return note(host, 'No usage.');
  const rows = [...usage.data, { start: TOTAL, group: '', ...usage.totals }];
  const names = await namesOfGroups(api, host, options, usage);
  await write(host, table(columnsOf(options, names), rows, layoutOf(host.stdout)));
}

async function readUsage(api: Client, options: UsageOptions, { env }: CommandProcess): Promise<Usage> {
  const { key, organization, groupBy, from, to, interval, surface, timeZone } = options;
  const query = { from, to, interval, surface, time_zone: timeZone };
  if (key === undefined) {
    const id = await organizationOf(api, env, organization);
    return api.usage.ofOrganization({ params: { id }, query: { ...query, group_by: groupBy } });
  }
  if (groupBy === 'api_key')
    throw new Failure('--group-by api_key needs an organization: leave it out with --key.', EXIT_USAGE);
  const id = await findId(api, ['key'], key, await chosenOrganization(api, env, undefined));
  return api.usage.ofApiKey({ params: { id }, query: { ...query, group_by: groupBy } });
}

/** Keys are shown with their names. */
async function namesOfGroups(
  api: Client,
  { env }: CommandProcess,
  { groupBy }: UsageOptions,
  { data }: Usage,
): Promise<Names | undefined> {
  if (groupBy !== 'api_key') return undefined;
  const ids = new Set(data.flatMap(({ group }) => group ?? []));
  return displayNames(api, env, ids);
}

/** Replaces the start in the row of totals. */
const TOTAL = 'total';

/** Hours are shown in the reader's time zone. */
function columnsOf(
  { interval, groupBy, timeZone = 'UTC' }: UsageOptions,
  names: Names | undefined,
): readonly Column<Row>[] {
  const days = new Days(timeZone);
  const start: Column<Row> =
    interval === 'hour'
      ? { title: 'HOUR', value: ({ start }) => (start === TOTAL ? start : localTime(start)) }
      : {
          title: `DAY (${timeZone})`,
          value: ({ start }) => (start === TOTAL ? start : days.dateOf(Date.parse(start))),
        };
  const group: Column<Row> = {
    title: groupBy?.toUpperCase().replace('_', ' ') ?? '',
    value: ({ group }) => group ?? '(others)',
    shrinksTo: 16,
  };
  const name: Column<Row> = { title: 'NAME', value: ({ group }) => names?.get(group ?? '') ?? '', shrinksTo: 12 };
  return [
    start,
    ...(names ? [name] : []),
    ...(groupBy ? [{ ...group, ...(names && { expendable: 1 }) }] : []),
    ...COUNTS,
  ];
}

const COUNTS: readonly Column<Row>[] = [
  { title: 'USES', value: ({ uses }) => String(uses), align: 'right' },
  {
    title: 'DENIALS',
    value: ({ denials }) => String(denials),
    align: 'right',
    colour: ({ denials }) => (denials > 0 ? 'red' : undefined),
  },
  { title: 'CREDITS', value: ({ credits }) => String(credits), align: 'right' },
];
