import type { CommandProcess } from '../command-process.js';
import type { Client } from '#libs/client/client.js';
import { connect } from './connection.js';
import { readPages, showPage, type PageOptions } from './lists.js';
import type { Column } from './table.js';
import { localTime } from './text.js';

type Listed<Call extends (...input: never[]) => Promise<{ data: unknown[] }>> = Awaited<
  ReturnType<Call>
>['data'][number];

const SCOPES: readonly Column<Listed<Client['apiKeys']['listScopes']>>[] = [
  { title: 'SCOPE', value: ({ scope }) => scope },
  { title: 'KIND', value: ({ kind }) => kind, expendable: 1 },
  { title: 'WHAT IT ALLOWS', value: ({ description }) => description ?? '', shrinksTo: 20, expendable: 2 },
];

export async function listScopes(options: { readonly json?: boolean }, host: CommandProcess): Promise<void> {
  await showPage(host, await connect(host.env).apiKeys.listScopes(), SCOPES, 'scopes', options);
}

const ORGANIZATIONS: readonly Column<Listed<Client['organizations']['list']>>[] = [
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

const PROJECTS: readonly Column<Listed<Client['projects']['list']>>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'NAME', value: ({ name }) => name, shrinksTo: 12 },
  { title: 'ORGANIZATION', value: ({ organization_id }) => organization_id, expendable: 2 },
  { title: 'CREATED', value: ({ created_at }) => localTime(created_at), expendable: 1 },
  { title: 'DESCRIPTION', value: ({ description }) => description ?? '', shrinksTo: 20, expendable: 3 },
];

export interface ListProjectsOptions extends PageOptions {
  readonly organization?: string;
  readonly search?: string;
}

export async function listProjects(options: ListProjectsOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const query = { organization_id: options.organization, search: options.search };
  const page = await readPages(options, (part) => api.projects.list({ query: { ...query, ...part } }));
  await showPage(host, page, PROJECTS, 'projects', options);
}
