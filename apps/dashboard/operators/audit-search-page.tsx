import { Button, Group, Select, Table, Text, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { searchAuditLogs } from '#libs/contract/audit.js';
import { ErrorState } from '../ui/error-state.js';
import { inDigits } from '../ui/format.js';
import { TextLink } from '../ui/links.js';
import { PageHeader } from '../ui/page-header.js';
import { TableHead } from '../ui/table-head.js';
import { TableSkeleton } from '../ui/table-skeleton.js';
import { Time } from '../ui/time.js';
import { organizationsWithQuery, PAGE, type Match } from './audit-question.js';
import { questionOf, type Question, type Questions } from './question-search.js';

const labels: Record<keyof Questions, string> = {
  ip: 'Address or network',
  request_id: 'Request id',
  key_id: 'Key, by its id',
  secret_id: 'Secret of a key, by its id',
  verified_by: 'Key or user that verified others, by its id',
};
const names = Object.keys(labels) as (keyof Questions)[];

/** Finds the organizations whose audit logs have a value. */
export function AuditSearchPage() {
  const question = questionOf(useSearch({ from: '/shell/operator/audit' }));
  return (
    <>
      <PageHeader
        title="Search every audit log"
        description="Which organizations have an event with this value? Each search is recorded in the log of the deployment."
      />
      <QuestionForm key={JSON.stringify(question)} question={question} />
      {question && <Organizations key={JSON.stringify(question)} question={question} />}
    </>
  );
}

function QuestionForm({ question }: { readonly question: Question | undefined }) {
  const navigate = useNavigate({ from: '/operator/audit' });
  const form = useForm({
    initialValues: { name: question?.[0] ?? 'ip', value: question?.[1] ?? '' },
    validate: { value: (text, { name }) => problemOf(name, text.trim()) },
  });
  const submit = form.onSubmit(({ name, value }) => void navigate({ search: { [name]: value.trim() } }));
  return (
    <form onSubmit={submit}>
      <Group align="flex-end" gap="xs" mb="md">
        <Select
          label="Look for"
          data={names.map((value) => ({ value, label: labels[value] }))}
          allowDeselect={false}
          w={{ base: '100%', xs: 300 }}
          {...form.getInputProps('name')}
        />
        <TextInput label="Value" flex="1 1 14rem" {...form.getInputProps('value')} />
        <Button type="submit">Search</Button>
      </Group>
    </form>
  );
}

function problemOf(name: keyof Questions, text: string): string | undefined {
  if (text === '') return 'Type a value';
  return searchAuditLogs.query.shape[name].safeParse(text).error?.issues[0]?.message;
}

function Organizations({ question }: { readonly question: Question }) {
  const [wanted, setWanted] = useState(PAGE);
  const { data, error, hasNextPage, isFetching, isPending, fetchNextPage, refetch } = useInfiniteQuery(
    organizationsWithQuery(question),
  );
  const found = data?.pages.flatMap((page) => page.data) ?? [];
  // The API pauses a long search, and then returns fewer organizations or none.
  const goesOn = hasNextPage && found.length < wanted && !error;
  useEffect(() => {
    if (goesOn && !isFetching) void fetchNextPage();
  }, [goesOn, isFetching, fetchNextPage]);
  return (
    <>
      <ErrorState error={error} onRetry={() => void (data ? fetchNextPage() : refetch())} />
      {isPending && <TableSkeleton rows={3} />}
      {data && !hasNextPage && found.length === 0 && (
        <Text role="status">No organization has an event with this value.</Text>
      )}
      {found.length > 0 && <Matches matches={found} question={question} />}
      {goesOn && (
        <Text role="status" size="sm" c="dimmed" mt="sm">
          Searching. Found so far: {inDigits(found.length)}
        </Text>
      )}
      {hasNextPage && !goesOn && !error && (
        <Button variant="default" size="xs" mt="sm" onClick={() => setWanted(found.length + PAGE)}>
          Show more
        </Button>
      )}
    </>
  );
}

function Matches({ matches, question }: { readonly matches: readonly Match[]; readonly question: Question }) {
  const [name, value] = question;
  return (
    <Table layout="fixed" aria-label="Organizations with this value">
      <TableHead columns={[{ label: 'Organization' }, { label: 'Newest event', width: 160 }]} />
      <Table.Tbody>
        {matches.map(({ id, name: called, time }) => (
          <Table.Tr key={id}>
            <Table.Td>
              {/* No preloading: each read of an organization is recorded. */}
              <TextLink
                to="/org/$organizationId/audit"
                params={{ organizationId: id }}
                search={{ [name]: value }}
                preload={false}
                fw={500}
                underline="hover"
                truncate
                display="block"
              >
                {called}
              </TextLink>
              <Text size="xs" c="dimmed" ff="monospace" truncate title={id}>
                {id}
              </Text>
            </Table.Td>
            <Table.Td>
              <Time at={time} otherwise="Unknown: the log is damaged" />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
