import { Option, type Command } from 'commander';
import type { Role } from '#libs/contract/organizations.js';
import type { CommandProcess } from '../command-process.js';
import {
  allOrganizationsOption,
  choice,
  collect,
  daysOrNone,
  group,
  jsonOption,
  ofOne,
  organizationOption,
  remote,
  valuesOf,
  wholeNumber,
  withPages,
  yesOption,
} from './options.js';

/** The commands about organizations and what belongs to them, besides keys. */
export function addOrganizationCommands(program: Command, host: CommandProcess): void {
  addOrganizations(program, host);
  addKeyPolicy(program, host);
  addProjects(program, host);
  addMembers(program, host);
  addInvitations(program, host);
  addCredits(program, host);
}

function addOrganizations(program: Command, host: CommandProcess): void {
  const organizations = group(program, 'organizations', 'list, create and rename organizations');
  withPages(
    organizations.command('list').description('list the organizations that you may read'),
    'organizations',
  ).action(remote(async (options) => (await import('./catalogue.js')).listOrganizations(options, host)));
  organizations
    .command('create')
    .description('create an organization, and become its owner')
    .argument('<NAME>', 'the name of the organization')
    .addOption(jsonOption())
    .action(
      remote(async (name: string, options) => (await import('./catalogue.js')).createOrganization(name, options, host)),
    );
  organizations
    .command('rename')
    .description('rename an organization')
    .argument('<ORGANIZATION>', 'its name or id')
    .argument('<NAME>', 'the new name')
    .addOption(jsonOption())
    .action(
      remote(async (organization: string, name: string, options) =>
        (await import('./catalogue.js')).renameOrganization(organization, name, options, host),
      ),
    );
}

function addKeyPolicy(program: Command, host: CommandProcess): void {
  const policy = group(program, 'key-policy', 'show, change and check what every key of an organization must keep to');
  policy
    .command('show')
    .description('show the key policy')
    .addOption(ofOrganization())
    .addOption(jsonOption())
    .action(remote(async (options) => (await import('./key-policy.js')).showKeyPolicy(options, host)));
  policy
    .command('set')
    .description('change the rules that are given; existing keys stay as they are')
    .option('--require-expiry', 'every key must have an expiry')
    .option('--no-require-expiry', 'keys may have no expiry')
    .addOption(
      new Option('--max-lifetime <DAYS>', 'a key must expire so soon after its creation: 90d, or none').argParser(
        daysOrNone,
      ),
    )
    .addOption(choice('--environment <WHICH>', 'the environment of every key', ['test', 'live', 'any']))
    .option(
      '--allowed-ip <NETWORK>',
      'the allowed addresses of every key must be within; may be given repeatedly',
      collect,
    )
    .option('--no-allowed-ip', 'keys may be allowed every address')
    .addOption(
      new Option('--disable-unused <DAYS>', 'disable keys that are unused for so long: 90d, or none').argParser(
        daysOrNone,
      ),
    )
    .option('--dry-run', 'only show which keys would break the policy')
    .addOption(ofOrganization())
    .addOption(jsonOption())
    .addHelpText('after', '\n  keyledger key-policy set --max-lifetime 90d --disable-unused 60d --dry-run')
    .action(remote(async (options) => (await import('./key-policy.js')).setKeyPolicy(options, host)));
  withPages(
    policy.command('report').description('list the keys that break the key policy').addOption(ofOrganization()),
    'keys',
  ).action(remote(async (options) => (await import('./key-policy.js')).reportKeyPolicy(options, host)));
}

function addProjects(program: Command, host: CommandProcess): void {
  const projects = group(program, 'projects', 'list, create, change and delete projects');
  withPages(
    projects
      .command('list')
      .description('list projects')
      .addOption(organizationOption('only of this organization (default: your own)'))
      .addOption(allOrganizationsOption())
      .option('--search <TEXT>', 'a text in the name or the description, or the id'),
    'projects',
  ).action(remote(async (options) => (await import('./projects.js')).listProjects(options, host)));
  projects
    .command('create')
    .description('create a project')
    .argument('<NAME>', 'the name of the project')
    .addOption(organizationOption('the organization of the project (default: your own)'))
    .option('--description <TEXT>', 'what the project is for')
    .addOption(jsonOption())
    .action(
      remote(async (name: string, options) => (await import('./projects.js')).createProject(name, options, host)),
    );
  ofOne(projects, 'project', 'update', 'change a project; what is not given stays as it is')
    .option('--name <NAME>', 'the new name')
    .option('--description <TEXT>', 'what the project is for')
    .option('--no-description', 'remove it')
    .action(
      remote(async (project: string, options) => (await import('./projects.js')).updateProject(project, options, host)),
    );
  ofOne(projects, 'project', 'delete', 'delete a project, which cannot be undone; asks first')
    .option('--revoke-keys', 'revoke its keys; without this, a project with keys stays')
    .addOption(yesOption())
    .action(
      remote(async (project: string, options) => (await import('./projects.js')).deleteProject(project, options, host)),
    );
}

function addMembers(program: Command, host: CommandProcess): void {
  const members = group(program, 'members', 'list, change and remove the members of an organization');
  withPages(members.command('list').description('list the members').addOption(ofOrganization()), 'members').action(
    remote(async (options) => (await import('./team.js')).listMembers(options, host)),
  );
  members
    .command('update')
    .description('change the role of a member')
    .argument('<MEMBER>', 'the email, the name or the id of the member')
    .addOption(roleOption('the new role'))
    .addOption(ofOrganization())
    .addOption(jsonOption())
    .action(remote(async (member: string, options) => (await import('./team.js')).updateMember(member, options, host)));
  members
    .command('remove')
    .description('remove a member, or leave; asks first')
    .argument('<MEMBER>', 'the email, the name or the id of the member')
    .option('--revoke-keys', 'revoke the keys that the member created, and the keys created with them')
    .addOption(ofOrganization())
    .addOption(yesOption())
    .addOption(jsonOption())
    .action(remote(async (member: string, options) => (await import('./team.js')).removeMember(member, options, host)));
}

function addInvitations(program: Command, host: CommandProcess): void {
  const invitations = group(program, 'invitations', 'invite members, and accept an invitation');
  withPages(
    invitations.command('list').description('list the open invitations').addOption(ofOrganization()),
    'invitations',
  ).action(remote(async (options) => (await import('./team.js')).listInvitations(options, host)));
  invitations
    .command('create')
    .description('print a one-time link with which a user becomes a member; Keyledger sends no email')
    .addOption(roleOption('what the new member may do'))
    .option('--email <EMAIL>', 'only the account with this email may use the link')
    .addOption(ofOrganization())
    .addOption(jsonOption())
    .addHelpText('after', '\n  keyledger invitations create --role developer --email grace@example.com')
    .action(remote(async (options) => (await import('./team.js')).createInvitation(options, host)));
  invitations
    .command('revoke')
    .description('withdraw an invitation')
    .argument('<INVITATION>', 'the id of the invitation, or its email')
    .addOption(ofOrganization())
    .addOption(jsonOption())
    .action(
      remote(async (invitation: string, options) =>
        (await import('./team.js')).revokeInvitation(invitation, options, host),
      ),
    );
  invitations
    .command('accept')
    .description('accept an invitation; asks for the link, or reads it as one line from standard input')
    .addOption(jsonOption())
    .action(remote(async (options) => (await import('./team.js')).acceptInvitation(options, host)));
}

function addCredits(program: Command, host: CommandProcess): void {
  const credits = group(program, 'credits', 'show, and as an operator grant, the credits of an organization');
  credits
    .command('show')
    .description('show the balance that all keys of an organization share')
    .addOption(ofOrganization())
    .addOption(jsonOption())
    .action(remote(async (options) => (await import('./credits.js')).showCredits(options, host)));
  withPages(
    credits.command('grants').description('list the grants of credits, the newest first').addOption(ofOrganization()),
    'grants',
  ).action(remote(async (options) => (await import('./credits.js')).listGrants(options, host)));
  credits
    .command('grant')
    .description('grant credits; only for operators')
    .addArgument(program.createArgument('<AMOUNT>', 'how many credits').argParser(wholeNumber))
    .addOption(ofOrganization())
    .option('--reason <TEXT>', 'why, for the list of grants')
    .addOption(
      new Option('--low-below <COUNT>', 'record an event when the balance falls below it').argParser(wholeNumber),
    )
    .addOption(jsonOption())
    .action(
      remote(async (amount: number, options) => (await import('./credits.js')).grantCredits(amount, options, host)),
    );
  credits
    .command('remove')
    .description('no longer charge the uses of an organization; only for operators; asks first')
    .addOption(ofOrganization())
    .addOption(yesOption())
    .addOption(jsonOption())
    .action(remote(async (options) => (await import('./credits.js')).removeBalance(options, host)));
}

function ofOrganization(): Option {
  return organizationOption('of this organization (default: your own)');
}

function roleOption(description: string): Option {
  return choice('--role <ROLE>', description, ROLES);
}

const ROLES = valuesOf<Role>({ owner: true, admin: true, developer: true, auditor: true, viewer: true });
