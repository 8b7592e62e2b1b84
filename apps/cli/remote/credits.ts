import type { Client } from '#libs/client/client.js';
import type { CommandProcess } from '../command-process.js';
import { connect } from './connection.js';
import { confirm } from './confirm.js';
import { findId, isIdOf } from './find-id.js';
import { readPages, showPage, type PageOptions } from './lists.js';
import { organizationOf } from './organizations.js';
import { json, write } from './output.js';
import { card, type Column } from './table.js';
import { localTime } from './text.js';

type Grant = Awaited<ReturnType<Client['credits']['listGrants']>>['data'][number];

/** The options of every command about credits. */
interface CreditOptions {
  readonly organization?: string;
  readonly json?: boolean;
}

export async function showCredits(options: CreditOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const params = { id: await organizationOf(api, host.env, options.organization) };
  const balance = await api.credits.get({ params });
  if (options.json) return write(host, json(host, balance));
  await write(
    host,
    card([
      ['Organization', params.id],
      ['Balance', balance.balance === null ? 'not metered: no limit' : String(balance.balance)],
      ['Low below', String(balance.low_below ?? '-')],
    ]),
  );
}

const GRANTS: readonly Column<Grant>[] = [
  { title: 'ID', value: ({ id }) => id, expendable: 2 },
  { title: 'GRANTED', value: ({ created_at }) => localTime(created_at) },
  { title: 'AMOUNT', value: ({ amount }) => String(amount), align: 'right' },
  { title: 'BALANCE AFTER', value: ({ balance_after }) => String(balance_after), align: 'right', expendable: 1 },
  { title: 'REASON', value: ({ reason }) => reason ?? '', shrinksTo: 20 },
];

export async function listGrants(options: CreditOptions & PageOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const params = { id: await organizationOf(api, host.env, options.organization) };
  const page = await readPages(options, (query) => api.credits.listGrants({ params, query }));
  await showPage(host, page, GRANTS, 'grants', options);
}

interface GrantOptions extends CreditOptions {
  readonly reason?: string;
  readonly lowBelow?: number;
}

export async function grantCredits(amount: number, options: GrantOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const params = { id: await anyOrganization(api, options, host) };
  const { reason, lowBelow: low_below } = options;
  const grant = await api.credits.grant({ params, body: { amount, reason, low_below } });
  await write(
    host,
    options.json ? json(host, grant) : `${params.id} has ${grant.balance_after} credits now (${grant.id}).\n`,
  );
}

export async function removeBalance(
  options: CreditOptions & { readonly yes?: boolean },
  host: CommandProcess,
): Promise<void> {
  const api = connect(host.env);
  const params = { id: await anyOrganization(api, options, host) };
  const question = async () => `Remove the balance of ${params.id}, so that its uses are no longer charged`;
  await confirm(host, options.yes, { doing: 'Removing a balance', done: 'removed', question });
  await api.credits.remove({ params });
  await write(host, options.json ? json(host, { ...params, metered: false }) : `${params.id} is no longer metered.\n`);
}

/** An operator names any organization of the deployment. */
async function anyOrganization(api: Client, { organization }: CreditOptions, { env }: CommandProcess): Promise<string> {
  if (organization === undefined || isIdOf(['organization'], organization))
    return organizationOf(api, env, organization);
  return findId(api, ['any organization'], organization);
}
