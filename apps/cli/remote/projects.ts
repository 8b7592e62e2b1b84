import type { Client } from '#libs/client/client.js';
import type { CommandProcess } from '../command-process.js';
import { EXIT_USAGE } from '../exit-codes.js';
import { confirm } from './confirm.js';
import { connect } from './connection.js';
import { Failure } from './failure.js';
import { findId } from './find-id.js';
import { readPages, showPage, type PageOptions } from './lists.js';
import { nameOrganizations, organizationColumn } from './organization-column.js';
import { chosenOrganization, listedOrganization, type WhichOrganizations } from './organizations.js';
import { json, write } from './output.js';
import { card, type Column, type Field } from './table.js';
import { localTime, named } from './text.js';

type Project = Awaited<ReturnType<Client['projects']['list']>>['data'][number];

/** The options of every command about one project. */
interface ProjectOptions {
  readonly organization?: string;
  readonly json?: boolean;
}

const COLUMNS: readonly Column<Project>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'NAME', value: ({ name }) => name, shrinksTo: 12 },
  { title: 'CREATED', value: ({ created_at }) => localTime(created_at), expendable: 1 },
  { title: 'DESCRIPTION', value: ({ description }) => description ?? '', shrinksTo: 20, expendable: 3 },
];

export interface ListProjectsOptions extends PageOptions, WhichOrganizations {
  readonly search?: string;
}

export async function listProjects(options: ListProjectsOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const query = { organization_id: await listedOrganization(api, host.env, options), search: options.search };
  const page = await readPages(options, (part) => api.projects.list({ query: { ...query, ...part } }));
  const names = await nameOrganizations(api, options);
  await showPage(host, page, names ? COLUMNS.toSpliced(2, 0, organizationColumn(names)) : COLUMNS, 'projects', options);
}

export async function createProject(
  name: string,
  options: ProjectOptions & { readonly description?: string },
  host: CommandProcess,
): Promise<void> {
  const api = connect(host.env);
  const organization_id = await chosenOrganization(api, host.env, options.organization);
  const { description } = options;
  await show(host, await api.projects.create({ body: { name, description, organization_id } }), options);
}

interface UpdateOptions extends ProjectOptions {
  readonly name?: string;
  readonly description?: string | false;
}

export async function updateProject(text: string, options: UpdateOptions, host: CommandProcess): Promise<void> {
  const { name, description } = options;
  const body = {
    ...(name !== undefined && { name }),
    ...(description !== undefined && { description: description || null }),
  };
  if (Object.keys(body).length === 0) throw new Failure('No change was given: see --help.', EXIT_USAGE);
  const api = connect(host.env);
  await show(host, await api.projects.update({ params: await findProject(api, text, options, host), body }), options);
}

interface DeleteOptions extends ProjectOptions {
  readonly revokeKeys?: boolean;
  readonly yes?: boolean;
}

export async function deleteProject(text: string, options: DeleteOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const params = await findProject(api, text, options, host);
  const project = named(await api.projects.get({ params }));
  const question = async () => `Delete ${project}${options.revokeKeys ? ' and revoke its keys' : ''}`;
  await confirm(host, options.yes, { doing: 'Deleting', done: 'deleted', question });
  const query = { api_keys: options.revokeKeys ? ('revoke' as const) : undefined };
  const result = await api.projects.delete({ params, query });
  await write(
    host,
    options.json ? json(host, result) : `${project} is deleted. Keys revoked with it: ${result.revoked_api_keys}.\n`,
  );
}

async function findProject(api: Client, text: string, { organization }: ProjectOptions, { env }: CommandProcess) {
  return { id: await findId(api, ['project'], text, await chosenOrganization(api, env, organization)) };
}

async function show(host: CommandProcess, project: Project, { json: asJson }: ProjectOptions): Promise<void> {
  await write(host, asJson ? json(host, project) : card(fieldsOf(project)));
}

function fieldsOf(project: Project): Field[] {
  return [
    ['ID', project.id],
    ['Name', project.name],
    ['Organization', project.organization_id],
    ['Description', project.description ?? '-'],
    ['Created', localTime(project.created_at)],
  ];
}
