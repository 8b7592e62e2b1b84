import { Text, UnstyledButton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { EXPIRING_DAYS, UNUSED_DAYS, UNUSED_SOON_DAYS } from '#libs/contract/bulk-changes.js';
import { keysToReviewQuery } from './api-keys.js';
import type { ApiKeysSearch } from './api-keys-search.js';
import { filtersOf, noFilters } from './key-filters.js';
import { inDigits } from '../ui/format.js';

type Count = 'never_expires' | 'unused' | 'no_rate_limit' | 'expiring' | 'breaks_policy' | 'disabled_soon';

const UNUSED = `unused for ${UNUSED_DAYS} days`;
const UNLIMITED = 'without a rate limit';

interface Card {
  readonly count: Count;
  /** What is said after 1. */
  readonly one: string;
  readonly many: string;
  readonly filter: ApiKeysSearch;
  /** Left out without such a key, because most organizations have no such rule. */
  readonly isSeldom?: true;
}

/** Each count, and the filter that shows its keys. */
const cards: readonly Card[] = [
  { count: 'never_expires', one: 'never expires', many: 'never expire', filter: { expires: 'never' } },
  { count: 'unused', one: UNUSED, many: UNUSED, filter: { unused: UNUSED_DAYS } },
  { count: 'no_rate_limit', one: UNLIMITED, many: UNLIMITED, filter: { limits: 'none' } },
  {
    count: 'expiring',
    one: `expires within ${EXPIRING_DAYS} days`,
    many: `expire within ${EXPIRING_DAYS} days`,
    filter: { expires: EXPIRING_DAYS },
  },
  {
    count: 'breaks_policy',
    one: 'breaks the key policy',
    many: 'break the key policy',
    filter: { policy: 'broken' },
    isSeldom: true,
  },
  {
    count: 'disabled_soon',
    one: `is disabled within ${UNUSED_SOON_DAYS} days if unused`,
    many: `are disabled within ${UNUSED_SOON_DAYS} days if unused`,
    filter: { policy: 'disables' },
    isSeldom: true,
  },
];

interface Props {
  readonly organizationId: string;
  readonly projectId: string | undefined;
  readonly search: ApiKeysSearch;
  readonly onSearch: (changes: ApiKeysSearch, replace: boolean) => void;
}

/** Active keys to review. A click shows them, and another one shows all keys again. */
export function KeysToReview({ organizationId, projectId, search, onSearch }: Props) {
  const { data } = useQuery(keysToReviewQuery(organizationId, projectId));
  const none = noFilters(projectId !== undefined);
  const shown = JSON.stringify(filtersOf({ ...search, project: undefined }));
  return (
    <div className="keys-to-review" role="group" aria-label="Active keys to review">
      {cards.map(({ count, one, many, filter, isSeldom }) => {
        const target = { ...none, status: 'active' as const, ...filter };
        const isShown = shown === JSON.stringify(filtersOf(target));
        const number = data?.[count];
        if (isSeldom && !number && !isShown) return null;
        return (
          <UnstyledButton
            key={count}
            px="sm"
            py={6}
            disabled={!number && !isShown}
            aria-pressed={isShown}
            onClick={() => onSearch(isShown ? none : target, false)}
          >
            <Text span fw={600}>
              {number === undefined ? '–' : inDigits(number)}
              {data?.complete === false && '+'}
            </Text>{' '}
            <Text span size="sm" c="dimmed">
              {number === 1 ? one : many}
            </Text>
          </UnstyledButton>
        );
      })}
    </div>
  );
}
