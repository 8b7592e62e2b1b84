import type { Client } from '#libs/client/client.js';
import type { Usage, UsageSurface } from '#libs/contract/usage.js';
import type { CommandProcess } from '../command-process.js';
import { EXIT_USAGE } from '../exit-codes.js';
import { connect } from './connection.js';
import { Failure } from './failure.js';
import { keyId } from './keys.js';
import { readPages } from './lists.js';
import { json, layoutOf, note, write } from './output.js';
import { table, type Column } from './table.js';
import { localTime } from './text.js';

export interface UsageOptions {
  readonly key?: string;
  readonly organization?: string;
  readonly from?: string;
  readonly to?: string;
  readonly interval?: 'hour' | 'day';
  readonly groupBy?: 'outcome' | 'endpoint' | 'api_key';
  readonly surface?: UsageSurface;
  readonly json?: boolean;
}

type Row = Usage['data'][number];

export async function showUsage(options: UsageOptions, host: CommandProcess): Promise<void> {
  const usage = await readUsage(connect(host.env), options);
  if (options.json) return write(host, json(host, usage));
  if (usage.data.length === 0) return note(host, 'No usage.');
  const rows = [...usage.data, { start: TOTAL, group: '', ...usage.totals }];
  await write(host, table(columnsOf(options), rows, layoutOf(host.stdout)));
}

async function readUsage(api: Client, options: UsageOptions): Promise<Usage> {
  const { key, organization, groupBy, from, to, interval, surface } = options;
  const query = { from, to, interval, surface };
  if (key === undefined) {
    const id = organization ?? (await ownOrganization(api));
    return api.usage.ofOrganization({ params: { id }, query: { ...query, group_by: groupBy } });
  }
  if (groupBy === 'api_key')
    throw new Failure('--group-by api_key needs an organization: leave it out with --key.', EXIT_USAGE);
  return api.usage.ofApiKey({ params: { id: keyId(key) }, query: { ...query, group_by: groupBy } });
}

/** The organization of the key, or the personal organization of the user. */
async function ownOrganization(api: Client): Promise<string> {
  const who = await api.auth.whoami();
  if (who.type === 'api_key') return who.api_key.organization_id;
  const { data } = await readPages({ all: true }, (query) => api.organizations.list({ query }));
  const personal = data.find((organization) => organization.personal);
  if (personal) return personal.id;
  throw new Failure('You have no personal organization: name one with --organization.', EXIT_USAGE);
}

/** Replaces the start in the row of totals. */
const TOTAL = 'total';

/** Days are UTC days, because uses are counted by them. Hours are shown in the reader's time zone. */
function columnsOf({ interval, groupBy }: UsageOptions): readonly Column<Row>[] {
  const start: Column<Row> =
    interval === 'hour'
      ? { title: 'HOUR', value: ({ start }) => (start === TOTAL ? start : localTime(start)) }
      : { title: 'DAY (UTC)', value: ({ start }) => start.slice(0, 10) };
  const group: Column<Row> = {
    title: groupBy?.toUpperCase().replace('_', ' ') ?? '',
    value: ({ group }) => group ?? '(others)',
    shrinksTo: 16,
  };
  return [start, ...(groupBy ? [group] : []), ...COUNTS];
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
