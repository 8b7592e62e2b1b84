import { Box, Code, Drawer, Group, Skeleton, Stack, Text, Title } from '@mantine/core';
import { queryOptions, useQuery } from '@tanstack/react-query';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { Suspense, useState } from 'react';
import { AuditEvent } from '#libs/contract/audit.js';
import { leafHash } from '#libs/tlog/leaf.js';
import { lazyPart } from '../session/load-part.js';
import { api } from '../session/session.js';
import { CopyButton } from '../ui/copy-button.js';
import { ErrorState } from '../ui/error-state.js';
import type { AuditSearch } from './audit-search.js';
import { changesOf, type Change } from './changes.js';
import { firstLineWith } from './first-line.js';
import { EventFacts } from './event-facts.js';
import { sentenceOf } from './event-sentence.js';
import { loadNames, type NameOf } from './names.js';
import { Neighbours } from './neighbours.js';
import { Sentence } from './sentence.js';
import { inDigits } from '../ui/format.js';

const EventVerification = lazyPart(async () => (await import('../integrity/event-verification.js')).EventVerification);

interface Props {
  readonly organizationId: string;
  /** The leaf index; undefined if no event is shown. */
  readonly index: number | undefined;
  readonly nameOf: NameOf;
  /** The filters within which the buttons find the next event. */
  readonly search: AuditSearch;
  readonly onClose: () => void;
  readonly onFilter: (patch: Partial<AuditSearch>) => void;
  readonly onShow: (index: number) => void;
}

/** One event in full, with its own address. */
export function EventDrawer({ organizationId, index, nameOf, search, onClose, onFilter, onShow }: Props) {
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
      title={`Event ${inDigits(shown)}`}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <ErrorState error={query.error} onRetry={() => void query.refetch()} />
      {query.isPending && <Skeleton height={320} />}
      {typeof query.data === 'string' && <Text>{absences[query.data](inDigits(shown))}</Text>}
      {typeof query.data === 'object' && (
        <Stack gap="lg">
          <Group wrap="nowrap" align="flex-start" justify="space-between">
            <Title order={2} fw={500}>
              <Sentence parts={sentenceOf(query.data.item.event)} nameOf={nameOf} />
            </Title>
            <Neighbours key={shown} index={shown} {...{ search, organizationId, onShow }} />
          </Group>
          <Suspense fallback={<Skeleton height={64} />}>
            <EventVerification {...{ organizationId, index: shown }} text={query.data.text} />
          </Suspense>
          <EventFacts {...query.data} {...{ organizationId, nameOf, onFilter }} />
          <Changes changes={changesOf(query.data.item.event)} />
          <ExactText text={query.data.text} />
        </Stack>
      )}
    </Drawer>
  );
}

const absences = {
  missing: (index: string) => `The audit log has no event ${index}.`,
  pruned: (index: string) =>
    `Event ${index} is no longer kept: it was removed at the end of its retention. This is no sign of tampering.`,
};

interface Entry {
  readonly item: AuditEvent;
  /** The exact text as stored. */
  readonly text: string;
  readonly hash: string;
}

const entryQuery = (organizationId: string, index: number) =>
  queryOptions({
    queryKey: ['audit-entry', organizationId, index],
    queryFn: async ({ client }): Promise<Entry | keyof typeof absences> => {
      // The tail would wait for an event that does not exist yet.
      const { data, pruned_below: first } = await api.audit.listEvents({
        query: { organization_id: organizationId, limit: 1 },
      });
      if (index < (first ?? 0)) return 'pruned';
      if (index > (data[0]?.leaf_index ?? -1)) return 'missing';
      const line = await lineOf(organizationId, index);
      const text = line.slice(line.indexOf('"event":') + '"event":'.length, -1);
      // From the text that is verified, so that the page shows nothing else.
      const item = AuditEvent.parse({ leaf_index: index, event: JSON.parse(text) });
      await loadNames(client, organizationId, [item]);
      return { item, text, hash: bytesToHex(leafHash(utf8ToBytes(text))) };
    },
    staleTime: Infinity,
  });

/**
 * Returns the line with the exact text of an event. Only the tail and the export return the text that the leaf hash is
 * made from, and the tail can start at any index.
 */
async function lineOf(organization_id: string, index: number): Promise<string> {
  const query = { organization_id };
  if (index === 0) return firstLineWith(await api.audit.exportEvents({ query }), '{');
  const tail = await api.audit.tail({ query, headers: { 'last-event-id': String(index - 1) } });
  return (await firstLineWith(tail, DATA)).slice(DATA.length);
}

const DATA = 'data: ';

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
                {marked('−', before)}
              </del>
            )}
            {after !== undefined && (
              <ins className="diff-after" aria-label="After">
                {marked('+', after)}
              </ins>
            )}
          </Box>
        </Box>
      ))}
    </Stack>
  );
}

/** Every line of a long text has the sign: its colour alone would not tell what it is. */
function marked(sign: string, text: string): string {
  return text
    .split('\n')
    .map((line) => `${sign} ${line}`)
    .join('\n');
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
