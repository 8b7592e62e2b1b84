import { Button } from '@mantine/core';
import { IconArrowUp } from '@tabler/icons-react';

interface Props {
  readonly count: number;
  /** There are more than were counted. */
  readonly more: boolean;
  readonly onShow: () => void;
}

/** What came while somebody reads further down waits here, so that nothing jumps. */
export function NewsButton({ count, more, onShow }: Props) {
  return (
    <div className="news" role="status">
      {count > 0 && (
        <Button size="xs" radius="xl" leftSection={<IconArrowUp size={14} />} onClick={onShow}>
          {count === 1 ? '1 new event' : `${count.toLocaleString()}${more ? '+' : ''} new events`}
        </Button>
      )}
    </div>
  );
}
