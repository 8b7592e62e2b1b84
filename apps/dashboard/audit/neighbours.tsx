import { ActionIcon, Group, Text } from '@mantine/core';
import { IconChevronDown, IconChevronUp } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { fullPage } from '#libs/client/full-page.js';
import { api } from '../session/session.js';
import { sentenceOf } from '../ui/error-state.js';
import { eventQuery, isFiltered, type AuditSearch } from './audit-search.js';

interface Props {
  readonly organizationId: string;
  readonly search: AuditSearch;
  readonly index: number;
  readonly onShow: (index: number) => void;
}

type Direction = 'newer' | 'older';

/** Buttons for the next newer and older event that match the filters. They search when they are used. */
export function Neighbours({ index, onShow, ...place }: Props) {
  const step = useMutation({
    mutationFn: (to: Direction) => neighbourOf({ index, ...place }, to),
    onSuccess: (found) => {
      if (found !== undefined) onShow(found);
    },
  });
  const ended = step.isSuccess && step.data === undefined ? step.variables : undefined;
  const filtered = isFiltered(place.search);
  return (
    <div>
      <Group gap={4} wrap="nowrap" justify="flex-end">
        {(['newer', 'older'] as const).map((to) => {
          const label = to === 'newer' ? 'Newer event' : 'Older event';
          return (
            <ActionIcon
              key={to}
              variant="default"
              aria-label={label}
              title={filtered ? `${label} that matches the filters` : label}
              loading={step.isPending && step.variables === to}
              disabled={ended === to}
              onClick={() => step.mutate(to)}
            >
              {to === 'newer' ? <IconChevronUp size={16} /> : <IconChevronDown size={16} />}
            </ActionIcon>
          );
        })}
      </Group>
      <Text size="xs" c="dimmed" ta="right" role="status">
        {step.error && sentenceOf(step.error)}
        {ended && `No ${ended} event${filtered ? ' matches' : ''}`}
      </Text>
    </div>
  );
}

/** The leaf index of the next event in this direction that matches the filters. */
async function neighbourOf({ index, organizationId, search }: Omit<Props, 'onShow'>, to: Direction) {
  const beyond =
    to === 'newer'
      ? ({ order: 'asc', after_index: index } as const)
      : ({ order: 'desc', before_index: index } as const);
  const query = { ...eventQuery(search, organizationId, Date.now()), ...beyond };
  const { data } = await fullPage(1, (limit, cursor) => api.audit.listEvents({ query: { ...query, limit, cursor } }));
  return data[0]?.leaf_index;
}
