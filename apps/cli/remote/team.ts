import type { Client } from '#libs/client/client.js';
import type { Role } from '#libs/contract/organizations.js';
import type { CommandProcess } from '../command-process.js';
import { EXIT_USAGE } from '../exit-codes.js';
import { askSecret } from './ask.js';
import { confirm } from './confirm.js';
import { connect } from './connection.js';
import { Failure } from './failure.js';
import { findId } from './find-id.js';
import { readPages, showPage, type PageOptions } from './lists.js';
import { organizationOf } from './organizations.js';
import { json, note, write } from './output.js';
import { card, type Column, type Field } from './table.js';
import { localTime, printable } from './text.js';

/** The options of every command about members and invitations. */
interface TeamOptions {
  readonly organization?: string;
  readonly json?: boolean;
}

type Member = Awaited<ReturnType<Client['members']['list']>>['data'][number];
type Invitation = Awaited<ReturnType<Client['invitations']['list']>>['data'][number];

const MEMBERS: readonly Column<Member>[] = [
  { title: 'ID', value: ({ user_id }) => user_id, expendable: 2 },
  { title: 'NAME', value: ({ name }) => name, shrinksTo: 12 },
  { title: 'EMAIL', value: ({ email }) => email, shrinksTo: 16 },
  { title: 'ROLE', value: ({ role }) => role },
  { title: 'JOINED', value: ({ joined_at }) => localTime(joined_at), expendable: 1 },
];

export async function listMembers(options: TeamOptions & PageOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const params = { id: await organizationOf(api, host.env, options.organization) };
  const page = await readPages(options, (query) => api.members.list({ params, query }));
  await showPage(host, page, MEMBERS, 'members', options);
}

export async function updateMember(
  text: string,
  options: TeamOptions & { readonly role?: Role },
  host: CommandProcess,
): Promise<void> {
  const { role } = options;
  if (role === undefined) throw new Failure('No change was given: add --role.', EXIT_USAGE);
  const api = connect(host.env);
  const params = await findMember(api, text, options, host);
  const member = await api.members.update({ params, body: { role } });
  await write(host, options.json ? json(host, member) : `${printable(member.email)} is ${member.role} now.\n`);
}

interface RemoveOptions extends TeamOptions {
  readonly revokeKeys?: boolean;
  readonly yes?: boolean;
}

export async function removeMember(text: string, options: RemoveOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const params = await findMember(api, text, options, host);
  const question = async () => `Remove ${text}${options.revokeKeys ? ' and revoke the keys that they created' : ''}`;
  await confirm(host, options.yes, { doing: 'Removing a member', done: 'removed', question });
  const query = { revoke_keys: options.revokeKeys ? ('true' as const) : undefined };
  const result = await api.members.remove({ params, query });
  await write(
    host,
    options.json
      ? json(host, result)
      : `${printable(text)} is removed. ${keysText(result.revoked_api_keys, options.revokeKeys)}\n`,
  );
}

function keysText(count: number, revoked: boolean | undefined): string {
  if (!revoked) return 'The keys that they created still work.';
  return count === 1 ? '1 key was revoked.' : `${count} keys were revoked.`;
}

async function findMember(api: Client, text: string, { organization }: TeamOptions, { env }: CommandProcess) {
  const id = await organizationOf(api, env, organization);
  return { id, user_id: await findId(api, ['member'], text, id) };
}

const INVITATIONS: readonly Column<Invitation>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'EMAIL', value: ({ email }) => email ?? '(anyone with the link)', shrinksTo: 16 },
  { title: 'ROLE', value: ({ role }) => role ?? 'operator' },
  { title: 'EXPIRES', value: ({ expires_at }) => localTime(expires_at), expendable: 1 },
];

export async function listInvitations(options: TeamOptions & PageOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const params = { id: await organizationOf(api, host.env, options.organization) };
  const page = await readPages(options, (query) => api.invitations.list({ params, query }));
  await showPage(host, page, INVITATIONS, 'open invitations', options);
}

interface InviteOptions extends TeamOptions {
  readonly role?: Role;
  readonly email?: string;
}

/** In a pipe, standard output has only the link, which is shown once. */
export async function createInvitation(options: InviteOptions, host: CommandProcess): Promise<void> {
  const { role, email } = options;
  if (role === undefined) throw new Failure('Say what the new member may do: add --role.', EXIT_USAGE);
  const api = connect(host.env);
  const params = { id: await organizationOf(api, host.env, options.organization) };
  const invitation = await api.invitations.create({ params, body: { role, email } });
  if (options.json) return write(host, json(host, invitation));
  host.stderr.write(card(fieldsOf(invitation)));
  await write(host, `${invitation.url}\n`);
  note(host, 'The link works once and is shown only once: send it now.');
}

function fieldsOf({ id, role, email, expires_at: end }: Invitation): Field[] {
  return [
    ['ID', id],
    ['Role', role ?? 'operator'],
    ['Email', email ?? 'anyone with the link'],
    ['Expires', localTime(end)],
  ];
}

export async function revokeInvitation(text: string, options: TeamOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const id = await organizationOf(api, host.env, options.organization);
  const invitationId = await findId(api, ['invitation'], text, id);
  await api.invitations.revoke({ params: { id, invitation_id: invitationId } });
  await write(host, options.json ? json(host, { id: invitationId, revoked: true }) : `${invitationId} is withdrawn.\n`);
}

/** The link is not an argument, because every process of the machine can read arguments. */
export async function acceptInvitation(options: TeamOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const link = (await askSecret(host, 'link')).trim();
  const token = link.slice(link.lastIndexOf('#') + 1);
  const accepted = await api.invitations.accept({ body: { token } });
  await write(
    host,
    options.json
      ? json(host, accepted)
      : accepted.operator
        ? 'You are an operator of this deployment now.\n'
        : `You are ${accepted.role} of ${accepted.organization_id} now.\n`,
  );
}
