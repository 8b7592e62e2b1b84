import { DomainEvent } from '#libs/contract/events.js';

/** All types that this version knows, grouped by their first word. */
const types = DomainEvent.options.map(({ shape }) => shape.type.value);

const groupNames: Record<string, string> = {
  api_key: 'Keys',
  member: 'Members',
  invitation: 'Invitations',
  project: 'Projects',
  organization: 'Organization',
  credits: 'Credits',
  user: 'Accounts',
  operator: 'Operators',
};

/** Choices for a select: each group as a whole, then its types. */
export const typeChoices = Object.entries(groupNames).map(([prefix, group]) => ({
  group,
  items: [
    { value: `${prefix}.*`, label: `${group}: all` },
    ...types.filter((type) => type.startsWith(`${prefix}.`)).map((type) => ({ value: type as string, label: type })),
  ],
}));
