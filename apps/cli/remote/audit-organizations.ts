import { fullPage } from '#libs/client/full-page.js';
import type { searchAuditLogs } from '#libs/contract/audit.js';
import type { RouteOutput } from '#libs/contract/route.js';
import type { CommandProcess } from '../command-process.js';
import { EXIT_USAGE } from '../exit-codes.js';
import { connect } from './connection.js';
import { Failure } from './failure.js';
import { findOptionalId } from './find-id.js';
import { readPages, showPage, type PageOptions } from './lists.js';
import type { Column } from './table.js';
import { localTime } from './text.js';

export interface FindOrganizationsOptions extends PageOptions {
  readonly ip?: string;
  readonly key?: string;
  readonly secret?: string;
  readonly requestId?: string;
  readonly verifiedBy?: string;
}

/** The default of the API. */
const USUAL_PAGE = 50;

const COLUMNS: readonly Column<RouteOutput<typeof searchAuditLogs>['data'][number]>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'NAME', value: ({ name }) => name, shrinksTo: 12 },
  { title: 'NEWEST', value: ({ time }) => (time === null ? 'damaged' : localTime(time, 'second')) },
  { title: 'INDEX', value: ({ leaf_index }) => String(leaf_index ?? '-'), align: 'right', expendable: 1 },
];

export async function findOrganizations(options: FindOrganizationsOptions, host: CommandProcess): Promise<void> {
  const { ip, key, secret, requestId, verifiedBy } = options;
  const given = [ip, key, secret, requestId, verifiedBy].filter((value) => value !== undefined);
  if (given.length !== 1) {
    throw new Failure('Give exactly one of --ip, --key, --secret, --request-id and --verified-by.', EXIT_USAGE);
  }
  const api = connect(host.env);
  const question = {
    ip,
    key_id: await findOptionalId(api, 'key', key, undefined),
    secret_id: secret,
    request_id: requestId,
    verified_by: verifiedBy,
  };
  const read = (limit: number, cursor?: string) =>
    api.deployment.searchAuditLogs({ query: { ...question, limit, cursor } });
  const page = await readPages(options, ({ limit = USUAL_PAGE, cursor }) =>
    fullPage(limit, (count, next = cursor) => read(count, next)),
  );
  await showPage(host, page, COLUMNS, 'organizations', options);
}
