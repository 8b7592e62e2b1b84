import { inDigits } from '../ui/format.js';
import '../ui/outcomes.css';
import { Table } from '@mantine/core';
import { VerificationCode } from '#libs/contract/verification.js';
import { outcomeColour, outcomeWords } from '../ui/outcomes.js';
import type { TypeCount } from './activity.js';

interface Props {
  readonly counts: readonly TypeCount[];
  /** Shows the events of a type. */
  readonly onChoose?: (count: TypeCount) => void;
}

/** How many events there are of each type and outcome. */
export function SummaryTable({ counts, onChoose }: Props) {
  const isFolded = counts.some(({ events, count }) => events !== count);
  return (
    <Table aria-label="Events by type">
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Type</Table.Th>
          <Table.Th ta="right">Events</Table.Th>
          {isFolded && <Table.Th ta="right">Requests</Table.Th>}
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {counts.map((one) => (
          <Table.Tr key={`${one.type} ${one.outcome ?? ''}`}>
            <Table.Td className="breakable">
              {one.outcome !== null && <Dot outcome={one.outcome} />}
              {onChoose ? (
                <button type="button" className="text-button" onClick={() => onChoose(one)}>
                  {wordsOf(one)}
                </button>
              ) : (
                wordsOf(one)
              )}
            </Table.Td>
            <Table.Td ta="right">{inDigits(one.events)}</Table.Td>
            {isFolded && <Table.Td ta="right">{inDigits(one.count)}</Table.Td>}
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

function Dot({ outcome }: { readonly outcome: string }) {
  return <span className="outcome-dot" style={{ background: outcomeColour(outcome) }} aria-hidden />;
}

function wordsOf({ type, outcome }: TypeCount): string {
  const code = VerificationCode.safeParse(outcome).data;
  return code && code !== 'valid' ? `${type}: ${outcomeWords[code]}` : type;
}
