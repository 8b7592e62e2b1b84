import type { CommandProcess } from '../command-process.js';
import type { Client } from '#libs/client/client.js';
import { connect } from './connection.js';
import { findId } from './find-id.js';
import { readPages, showPage, type PageOptions } from './lists.js';
import { json, write } from './output.js';
import { card, type Column, type Field } from './table.js';
import { localTime } from './text.js';

type Scope = Awaited<ReturnType<Client['apiKeys']['listScopes']>>['data'][number];
type Organization = Awaited<ReturnType<Client['organizations']['get']>>;

interface JsonOption {
  readonly json?: boolean;
}

const SCOPES: readonly Column<Scope>[] = [
  { title: 'SCOPE', value: ({ scope }) => scope },
  { title: 'KIND', value: ({ kind }) => kind, expendable: 1 },
  { title: 'WHAT IT ALLOWS', value: ({ description }) => description ?? '', shrinksTo: 20, expendable: 2 },
];

export async function listScopes(options: JsonOption, host: CommandProcess): Promise<void> {
  await showPage(host, await connect(host.env).apiKeys.listScopes(), SCOPES, 'scopes', options);
}

const ORGANIZATIONS: readonly Column<Organization>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'NAME', value: ({ name }) => name, shrinksTo: 12 },
  { title: 'ROLE', value: ({ role }) => role ?? '', expendable: 1 },
  {
    title: 'STATUS',
    value: ({ status }) => status,
    colour: ({ status }) => (status === 'active' ? 'green' : 'red'),
  },
  { title: 'CREATED', value: ({ created_at }) => localTime(created_at), expendable: 2 },
];

export async function listOrganizations(options: PageOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const page = await readPages(options, (query) => api.organizations.list({ query }));
  await showPage(host, page, ORGANIZATIONS, 'organizations', options);
}

export async function createOrganization(name: string, options: JsonOption, host: CommandProcess): Promise<void> {
  await show(host, await connect(host.env).organizations.create({ body: { name } }), options);
}

export async function renameOrganization(
  text: string,
  name: string,
  options: JsonOption,
  host: CommandProcess,
): Promise<void> {
  const api = connect(host.env);
  const params = { id: await findId(api, ['organization'], text) };
  await show(host, await api.organizations.update({ params, body: { name } }), options);
}

async function show(host: CommandProcess, organization: Organization, options: JsonOption): Promise<void> {
  const { id, name, role, status } = organization;
  const fields: Field[] = [
    ['ID', id],
    ['Name', name],
    ['Role', role ?? '-'],
    ['Status', status],
  ];
  await write(host, options.json ? json(host, organization) : card(fields));
}
