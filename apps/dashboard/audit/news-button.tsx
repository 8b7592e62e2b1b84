import { Button } from '@mantine/core';
import { IconArrowUp } from '@tabler/icons-react';
import { counted, inDigits } from '../ui/format.js';

interface Props {
  readonly count: number;
  /** Whether there are more events than were counted. */
  readonly more: boolean;
  readonly onShow: () => void;
}

/** Holds back new events while the user reads further down, so that the list does not move. */
export function NewsButton({ count, more, onShow }: Props) {
  return (
    <div className="news" role="status">
      {count > 0 && (
        <Button size="xs" radius="xl" leftSection={<IconArrowUp size={14} />} onClick={onShow}>
          {more ? `${inDigits(count)}+ new events` : counted(count, 'new event')}
        </Button>
      )}
    </div>
  );
}
