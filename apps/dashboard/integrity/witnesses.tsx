import { List } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { sentenceOf } from '../ui/error-state.js';
import { counted } from '../ui/format.js';
import { Time } from '../ui/time.js';
import { witnessesQuery } from './queries.js';

/** What the API says of the witnesses of this deployment. */
export function Witnesses({ organizationId }: { readonly organizationId: string }) {
  const { data, error } = useQuery(witnessesQuery(organizationId));
  if (error) return sentenceOf(error);
  if (data === undefined) return 'Loading';
  if (data === null) return 'This deployment has none: no one else confirms that all auditors see the same log.';
  const { quorum, cosigned, witnesses } = data;
  return (
    <>
      {cosigned ? (
        <>
          At least {quorum} cosigned the first {counted(cosigned.size, 'entry', 'entries')}, <Time at={cosigned.at} />,
          as the server says.
        </>
      ) : (
        `${quorum} must cosign, and have not yet.`
      )}{' '}
      This page does not verify cosignatures: keyledger audit verify-receipt does.
      <List size="sm" mt={4}>
        {witnesses.map(({ name, cosigned_at: at, is_up_to_date: isUpToDate, failed_at: failedAt }) => (
          <List.Item key={name}>
            {name}: {isUpToDate ? 'up to date' : 'behind'}, last cosignature <Time at={at} otherwise="never" />
            {failedAt && (
              <>
                , failed <Time at={failedAt} />
              </>
            )}
          </List.Item>
        ))}
      </List>
    </>
  );
}
