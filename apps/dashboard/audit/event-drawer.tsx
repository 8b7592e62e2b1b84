import { ActionIcon, Box, Code, Drawer, Group, Skeleton, Stack, Text, Title } from '@mantine/core';
import { IconChevronDown, IconChevronUp } from '@tabler/icons-react';
import { queryOptions, useQuery } from '@tanstack/react-query';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { useState, type ReactNode } from 'react';
import { z } from 'zod';
import { AuditEvent } from '#libs/contract/audit.js';
import { VerificationCode } from '#libs/contract/verification.js';
import { calledIn } from '#libs/contract/events.js';
import { leafHash } from '#libs/tlog/leaf.js';
import { api } from '../session/session.js';
import { CopyButton } from '../ui/copy-button.js';
import { ErrorState } from '../ui/error-state.js';
import { TextLink } from '../ui/links.js';
import { outcomeWords } from '../ui/outcomes.js';
import type { AuditSearch } from './audit-search.js';
import { changesOf, type Change } from './changes.js';
import { firstLineWith } from './first-line.js';
import { actorWords, sentenceOf } from './event-sentence.js';
import { localTime, utcTime } from './event-time.js';
import type { NameOf } from './names.js';
import { Sentence } from './sentence.js';

interface Props {
  readonly organizationId: string;
  /** The leaf index; undefined if no event is shown. */
  readonly index: number | undefined;
  readonly nameOf: NameOf | undefined;
  readonly onClose: () => void;
  readonly onFilter: (patch: Partial<AuditSearch>) => void;
  readonly onShow: (index: number) => void;
}

/** One event in full, with its own address. */
export function EventDrawer({ organizationId, index, nameOf, onClose, onFilter, onShow }: Props) {
  // Keeps showing the event while the drawer slides out.
  const [shown, setShown] = useState(index ?? 0);
  if (index !== undefined && index !== shown) setShown(index);
  const query = useQuery({ ...entryQuery(organizationId, shown), enabled: index !== undefined });
  return (
    <Drawer
      opened={index !== undefined}
      onClose={onClose}
      position="right"
      size="lg"
      title={`Event ${shown.toLocaleString()}`}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <ErrorState error={query.error} onRetry={() => void query.refetch()} />
      {(query.isPending || (query.data && !nameOf)) && <Skeleton height={320} />}
      {query.data === null && <Text>The log has no event {shown.toLocaleString()}.</Text>}
      {query.data && nameOf && (
        <Stack gap="lg">
          <Group wrap="nowrap" align="flex-start" justify="space-between">
            <Title order={2} fw={500}>
              <Sentence parts={sentenceOf(query.data.item.event)} nameOf={nameOf} />
            </Title>
            <Neighbours index={shown} onShow={onShow} />
          </Group>
          <Facts {...query.data} {...{ organizationId, nameOf, onFilter }} />
          <Changes changes={changesOf(query.data.item.event)} />
          <ExactText text={query.data.text} />
        </Stack>
      )}
    </Drawer>
  );
}

interface Entry {
  readonly item: AuditEvent;
  /** The exact text as stored. */
  readonly text: string;
  readonly hash: string;
}

const entryQuery = (organizationId: string, index: number) =>
  queryOptions({
    queryKey: ['audit-entry', organizationId, index],
    queryFn: async (): Promise<Entry | null> => {
      const line = await lineOf(organizationId, index);
      if (line === undefined) return null;
      const item = AuditEvent.parse(JSON.parse(line));
      const text = line.slice(line.indexOf('"event":') + '"event":'.length, -1);
      return { item, text, hash: bytesToHex(leafHash(utf8ToBytes(text))) };
    },
    staleTime: Infinity,
  });

/**
 * Returns the line with the exact text of an event. Only the tail and the export return the text that the leaf hash is
 * made from, and the tail can start at any index.
 */
async function lineOf(organization_id: string, index: number): Promise<string | undefined> {
  const query = { organization_id };
  if (index === 0) return firstLineWith(await api.audit.exportEvents({ query }), '{');
  // The tail would wait for an event that does not exist yet.
  const { data } = await api.audit.listEvents({ query: { ...query, limit: 1 } });
  if (index > (data[0]?.leaf_index ?? -1)) return undefined;
  const tail = await api.audit.tail({ query, headers: { 'last-event-id': String(index - 1) } });
  return (await firstLineWith(tail, DATA))?.slice(DATA.length);
}

const DATA = 'data: ';

function Neighbours({ index, onShow }: { readonly index: number; readonly onShow: (index: number) => void }) {
  return (
    <Group gap={4} wrap="nowrap">
      <ActionIcon
        variant="default"
        aria-label="The event after it"
        title="The event after it"
        onClick={() => onShow(index + 1)}
      >
        <IconChevronUp size={16} />
      </ActionIcon>
      <ActionIcon
        variant="default"
        aria-label="The event before it"
        title="The event before it"
        disabled={index === 0}
        onClick={() => onShow(index - 1)}
      >
        <IconChevronDown size={16} />
      </ActionIcon>
    </Group>
  );
}

interface FactsProps extends Entry {
  readonly organizationId: string;
  readonly nameOf: NameOf;
  readonly onFilter: (patch: Partial<AuditSearch>) => void;
}

function Facts({ item: { leaf_index, event }, hash, organizationId, nameOf, onFilter }: FactsProps) {
  const { data } = event;
  const text = (name: string) => (typeof data[name] === 'string' ? data[name] : undefined);
  const { actor } = data;
  const organization = calledIn(data, 'organization');
  const code = VerificationCode.safeParse(data['code']).data;
  const endpoint = [text('method'), text('path')].filter(Boolean).join(' ');
  const place = { organizationId, nameOf };
  return (
    <Box component="dl" className="facts">
      <Fact name="When">
        <time dateTime={event.time}>{localTime(event.time)}</time>
        <br />
        <Text span c="dimmed" size="sm">
          {utcTime(event.time)}
        </Text>
      </Fact>
      {text('first_at') && text('last_at') && (
        <Fact name="How often">
          {Number(data['count']).toLocaleString()} times, from {localTime(text('first_at')!)} to{' '}
          {localTime(text('last_at')!)}
        </Fact>
      )}
      <Fact name="Who" onFilter={actor.id === null ? undefined : () => onFilter({ actor_id: actor.id! })}>
        {actor.id === null ? (
          actorWords(actor, nameOf)
        ) : (
          <Named id={actor.id} called={calledIn(data, 'actor')} {...place} />
        )}
        {actor.type === 'operator' && ' as an operator'}
      </Fact>
      <Fact name="What" onFilter={() => onFilter({ type: event.type })}>
        <Code>{event.type}</Code>
      </Fact>
      {event.subject !== actor.id && (
        <Fact name="About" onFilter={() => onFilter({ subject: event.subject })}>
          <Named id={event.subject} called={calledIn(data, 'subject')} {...place} />
        </Fact>
      )}
      {organization.id && <Fact name="Organization">{organization.name ?? organization.id}</Fact>}
      {code && (
        <Fact name="Reason" onFilter={() => onFilter({ outcome: code })}>
          {outcomeWords[code]} <Code>{code}</Code>
        </Fact>
      )}
      {endpoint && (
        <Fact name="Endpoint" onFilter={text('path') ? () => onFilter({ path: text('path') }) : undefined}>
          <Code>{endpoint}</Code>
        </Fact>
      )}
      {text('route') && text('route') !== text('path') && (
        <Fact name="Route">
          <Code>{text('route')}</Code>
        </Fact>
      )}
      {data['summary'] === true && (
        <Fact name="Requests">They differ, so this event names no endpoint, address or client.</Fact>
      )}
      {callsOf(data).map((call) => (
        <Fact key={call} name="Call">
          <Code>{call}</Code>
        </Fact>
      ))}
      {verifiersOf(data).map((id) => (
        <Fact key={id} name="Asked by">
          <Named id={id} called={{}} {...place} />
        </Fact>
      ))}
      {text('project_id') && (
        <Fact name="Project">
          <Named id={text('project_id')!} called={{}} {...place} />
        </Fact>
      )}
      {text('ip') && (
        <Fact name="Address" onFilter={() => onFilter({ ip: text('ip') })}>
          <Code>{text('ip')}</Code>
        </Fact>
      )}
      {text('origin') && <Fact name="Page">{text('origin')}</Fact>}
      {text('user_agent') && <Fact name="Client">{text('user_agent')}</Fact>}
      {text('request_id') && (
        <Fact name="Request">
          <Copied value={text('request_id')!} label="Copy the request's id" />
        </Fact>
      )}
      <Fact name="Leaf index">
        <Copied value={String(leaf_index)} label="Copy the leaf index" />
      </Fact>
      <Fact name="Leaf hash">
        <Copied value={hash} label="Copy the leaf hash" />
      </Fact>
    </Box>
  );
}

/** The keys that asked for the verifications: one in a single event, several in a summary. */
function verifiersOf(data: Record<string, unknown>): string[] {
  const { verified_by: verifier, callers } = data;
  const all: unknown[] = Array.isArray(callers) ? callers : [verifier];
  const ids = all.map((one) => (typeof one === 'object' && one !== null && 'id' in one ? one.id : undefined));
  return [...new Set(ids.filter((id) => typeof id === 'string'))];
}

/** The calls in an `operator.read` event that covers several. */
function callsOf({ reads }: Record<string, unknown>): string[] {
  const all = Calls.safeParse(reads).data ?? [];
  return [...new Set(all.map(({ method, path }) => [method, path].filter(Boolean).join(' ')))];
}

const Calls = z.array(z.object({ method: z.string().nullable(), path: z.string().nullable() }));

interface FactProps {
  readonly name: string;
  readonly children: ReactNode;
  readonly onFilter?: (() => void) | undefined;
}

function Fact({ name, children, onFilter }: FactProps) {
  return (
    <>
      <dt>{name}</dt>
      <dd>
        <span>{children}</span>
        {onFilter && (
          <button type="button" className="fact-filter" onClick={onFilter} aria-label={`Only this: ${name}`}>
            Only this
          </button>
        )}
      </dd>
    </>
  );
}

function Copied({ value, label }: { readonly value: string; readonly label: string }) {
  return (
    <Group component="span" gap={4} wrap="nowrap">
      <Code className="breakable">{value}</Code>
      <CopyButton value={value} label={label} />
    </Group>
  );
}

interface NamedProps {
  readonly id: string;
  /** The name and email address in the event. */
  readonly called: { readonly name?: string | undefined; readonly email?: string | undefined };
  readonly organizationId: string;
  readonly nameOf: NameOf;
}

/** A name with a link to its page. */
function Named({ id, called, organizationId, nameOf }: NamedProps) {
  const name = called.name ?? called.email ?? nameOf(id);
  if (id.startsWith('key_')) {
    return (
      <TextLink to="/org/$organizationId/settings/api-keys/$keyId" params={{ organizationId, keyId: id }}>
        {name}
      </TextLink>
    );
  }
  if (id.startsWith('proj_')) {
    return (
      <TextLink to="/org/$organizationId/projects/$projectId/api-keys" params={{ organizationId, projectId: id }}>
        {name}
      </TextLink>
    );
  }
  if (id.startsWith('user_')) {
    return (
      <>
        <TextLink to="/org/$organizationId/settings/members" params={{ organizationId }}>
          {name}
        </TextLink>
        {called.name && called.email && ` (${called.email})`}
      </>
    );
  }
  return name;
}

function Changes({ changes }: { readonly changes: readonly Change[] }) {
  if (changes.length === 0) return null;
  return (
    <Stack gap="sm">
      <Title order={3}>Changes</Title>
      {changes.map(({ field, before, after }) => (
        <Box key={field}>
          <Text size="sm" fw={500} mb={4}>
            {field}
          </Text>
          <Box className="diff">
            {before !== undefined && (
              <del className="diff-before" aria-label="Before">
                − {before}
              </del>
            )}
            {after !== undefined && (
              <ins className="diff-after" aria-label="After">
                + {after}
              </ins>
            )}
          </Box>
        </Box>
      ))}
    </Stack>
  );
}

function ExactText({ text }: { readonly text: string }) {
  return (
    <Stack gap="xs">
      <Group justify="space-between">
        <Title order={3}>Event</Title>
        <CopyButton value={text} label="Copy the event as it is stored" />
      </Group>
      <Box role="region" aria-label="The event as JSON" tabIndex={0} className="exact-text">
        <Code block>{JSON.stringify(JSON.parse(text), null, 2)}</Code>
      </Box>
    </Stack>
  );
}
