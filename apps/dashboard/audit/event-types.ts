import { DomainEvent } from '#libs/contract/events.js';

/** All that this version knows, under the word that they begin with. */
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

/** As a select takes them: each group as a whole, then its types. */
export const typeChoices = Object.entries(groupNames).map(([prefix, group]) => ({
  group,
  items: [
    { value: `${prefix}.*`, label: `${group}: all` },
    ...types.filter((type) => type.startsWith(`${prefix}.`)).map((type) => ({ value: type as string, label: type })),
  ],
}));
