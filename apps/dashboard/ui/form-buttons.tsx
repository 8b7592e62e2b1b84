import { Button, Group } from '@mantine/core';

interface Props {
  /** What the form does. */
  readonly label: string;
  readonly pending: boolean;
  readonly onCancel: () => void;
}

/** The end of a form in a dialog. */
export function FormButtons({ label, pending, onCancel }: Props) {
  return (
    <Group justify="flex-end">
      <Button variant="default" onClick={onCancel}>
        Cancel
      </Button>
      <Button type="submit" loading={pending}>
        {label}
      </Button>
    </Group>
  );
}
