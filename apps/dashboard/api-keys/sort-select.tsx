import { Select } from '@mantine/core';
import type { KeysProps, Sort } from './listed-keys.js';

const labels: Record<Sort, string> = {
  '-created_at': 'Newest first',
  created_at: 'Oldest first',
  name: 'Name, from A',
  '-name': 'Name, from Z',
  '-last_used_at': 'Used last',
  last_used_at: 'Unused for longest',
  expires_at: 'Expires next',
  '-expires_at': 'Expires last',
  '-usage_count': 'Most uses',
  usage_count: 'Fewest uses',
};

/** For cards, which have no columns to sort by. */
export function SortSelect({ sort, onSort }: Pick<KeysProps, 'sort' | 'onSort'>) {
  return (
    <Select
      aria-label="Sort by"
      size="xs"
      w={160}
      allowDeselect={false}
      data={Object.entries(labels).map(([value, label]) => ({ value, label }))}
      value={sort}
      onChange={(next) => onSort(next as Sort)}
    />
  );
}
