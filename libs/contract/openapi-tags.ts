/** The groups of operations in the order in which a reader needs them, each with what it is for. */
const groups = {
  'Keys and verification': {
    'API keys': 'Create, change, rotate and revoke keys, and verify them from a service of your own.',
    'Key tokens': 'Exchange a key for a short-lived token that services verify offline.',
    Gateways:
      'What nginx, Caddy, Traefik or Envoy asks about each request. The status of the response is the decision.',
    Usage: 'How often keys were used and denied, by hour and day.',
    Credits: 'The balance from which uses are paid, and its grants.',
  },
  'People and organizations': {
    Authentication: 'Register, sign in, and manage the password and the sessions of an account.',
    Organizations: 'An organization owns keys, projects, members, a balance and an audit log.',
    Members: 'Who belongs to an organization, in which role, and invitations to it.',
    Projects: 'A project is a named part of an organization. A key can be limited to one.',
  },
  'Audit log': {
    Audit: 'Search, follow and export the events of an organization.',
    'Audit proofs':
      'Checkpoints, tiles and receipts, with which an auditor verifies a log without trusting this server.',
    Find: 'Whose is this id, request id or secret?',
  },
  Operation: {
    Deployment: 'For operators: organizations, limits, operators, service keys and retention of the deployment.',
    Health: 'Whether the service runs, and whether it is ready for requests.',
    Problems: 'What each problem code means, and how to solve it.',
  },
  Dialects: {
    'commandAGI dialect': 'The operations and names of commandAGI, for clients that must not change.',
    'Agentity dialect': 'The operations and names of Agentity, for clients that must not change.',
  },
} as const;

/** @param used the tags of the document's operations; others are left out */
export function tagsOf(used: ReadonlySet<string>) {
  const shown = Object.entries(groups).map(([group, tags]) => ({
    name: group,
    tags: Object.entries(tags)
      .filter(([name]) => used.has(name))
      .map(([name, description]) => ({ name, description })),
  }));
  return {
    tags: shown.flatMap(({ tags }) => tags),
    'x-tagGroups': shown
      .filter(({ tags }) => tags.length > 0)
      .map(({ name, tags }) => ({ name, tags: tags.map((tag) => tag.name) })),
  };
}
