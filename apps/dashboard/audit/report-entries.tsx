import { Box, Table, Text } from '@mantine/core';
import type { AuditEvent } from '#libs/contract/audit.js';
import { localZone } from '../usage/usage-period.js';
import { sentenceOf } from './event-sentence.js';
import { fullTime } from './event-time.js';
import type { NameOf } from './names.js';
import { Sentence } from './sentence.js';
import { inDigits } from '../ui/format.js';

interface Props {
  readonly entries: readonly AuditEvent[];
  readonly nameOf: NameOf;
}

/** One line for each entry. On paper, the head is on every page. */
export function ReportEntries({ entries, nameOf }: Props) {
  if (entries.length === 0) return <Text>No event matches.</Text>;
  return (
    <Box className="report-scroll" role="region" aria-label="Table of entries" tabIndex={0}>
      <Table className="report-entries">
        <Table.Thead>
          <Table.Tr>
            <Table.Th ta="right">Number</Table.Th>
            <Table.Th>Time ({localZone})</Table.Th>
            <Table.Th>Event</Table.Th>
            <Table.Th>Type</Table.Th>
            <Table.Th>Address</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {entries.map(({ leaf_index: index, event }) => (
            <Table.Tr key={index}>
              <Table.Td ta="right">{inDigits(index)}</Table.Td>
              <Table.Td>
                <time dateTime={event.time}>{fullTime(event.time)}</time>
              </Table.Td>
              <Table.Td>
                <Sentence parts={sentenceOf(event)} nameOf={nameOf} />
              </Table.Td>
              <Table.Td>{event.type}</Table.Td>
              <Table.Td>{typeof event.data['ip'] === 'string' ? event.data['ip'] : ''}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Box>
  );
}
