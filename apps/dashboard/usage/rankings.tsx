import { SimpleGrid } from '@mantine/core';
import { useQueries } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { roleCovers } from '#libs/contract/roles.js';
import { useOrganization } from '../organization/organizations.js';
import { inDigits } from '../ui/format.js';
import { TextLink } from '../ui/links.js';
import { outcomeColour } from '../ui/outcomes.js';
import { BarList, type BarItem } from './bar-list.js';
import { keyNameQuery } from './queries.js';
import { endpointLabel, outcomeLabel } from './usage-labels.js';
import type { Groups } from './use-counts.js';
import { countIn, ranked, requests, type Ranked, type Totals } from './usage-numbers.js';

interface Props {
  readonly organizationId: string;
  readonly endpoints: Groups;
  readonly keys: Groups;
  readonly outcomes: Groups;
  readonly nameOf: (keyId: string) => string | undefined;
}

/** What was used most and denied most, compared with the previous period. */
export function Rankings({ organizationId, endpoints, keys, outcomes, nameOf }: Props) {
  return (
    <SimpleGrid cols={{ base: 1, md: 3 }}>
      <BarList
        title="Top endpoints"
        nothing="No endpoints."
        items={byRequests(endpoints, endpointInList)}
        stale={endpoints.stale}
      />
      <BarList
        title="Top keys"
        nothing="No keys were used."
        items={byRequests(keys, (id) => keyInList(id, organizationId, nameOf(id)))}
        stale={keys.stale}
      />
      <BarList title="Denials by reason" nothing="No denials." items={byDenials(outcomes)} stale={outcomes.stale} />
    </SimpleGrid>
  );
}

function byRequests({ now, before }: Groups, labelOf: (group: string) => ReactNode): BarItem[] {
  return ranked(now?.data ?? [], requests).map((counted) => ({
    key: String(counted.group),
    label: counted.group === null ? 'All others' : labelOf(counted.group),
    count: requests(counted),
    before: countIn(before?.data ?? [], counted.group, requests),
    note: counted.denials > 0 ? `${inDigits(counted.denials)} denied` : undefined,
  }));
}

function byDenials({ now, before }: Groups): BarItem[] {
  return ranked(now?.data ?? [], denialsOf).map((counted) => ({
    key: String(counted.group),
    label: outcomeLabel(counted.group ?? ''),
    count: counted.denials,
    before: countIn(before?.data ?? [], counted.group, denialsOf),
    colour: outcomeColour(counted.group ?? ''),
  }));
}

const denialsOf = ({ denials }: Totals): number => denials;

/** How many keys have their names loaded. */
const NAMED_KEYS = 8;

/** The names of the keys with the most requests; undefined for a key without a visible name. */
export function useKeyNames(organizationId: string, keys: readonly Ranked[]) {
  const { organization } = useOrganization(organizationId);
  const mayRead =
    organization !== undefined && organization.role !== null && roleCovers(organization.role, 'api-keys:read');
  const ids = keys.flatMap(({ group }) => group ?? []).slice(0, NAMED_KEYS);
  const names = useQueries({ queries: ids.map((id) => ({ ...keyNameQuery(id), enabled: mayRead })) });
  return (id: string) => names[ids.indexOf(id)]?.data ?? undefined;
}

export function shortKey(id: string): string {
  return `key_…${id.slice(-6)}`;
}

function endpointInList(endpoint: string) {
  const label = endpointLabel(endpoint);
  return <span title={label}>{label}</span>;
}

function keyInList(keyId: string, organizationId: string, name: string | undefined) {
  // A deleted key has no page.
  if (name === undefined) return <span title={keyId}>{shortKey(keyId)}</span>;
  return (
    <TextLink to="/org/$organizationId/settings/api-keys/$keyId" params={{ organizationId, keyId }} fz="inherit">
      {name}
    </TextLink>
  );
}
