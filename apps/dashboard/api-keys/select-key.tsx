import { Checkbox } from '@mantine/core';
import type { RowSelection } from './key-selection.js';

interface Props {
  readonly name: string;
  readonly index: number;
  readonly isSelected: boolean;
  readonly onSelect: RowSelection['select'];
}

/** With Shift, it selects all keys from the one that was selected last. */
export function SelectKey({ name, index, isSelected, onSelect }: Props) {
  return (
    <Checkbox
      className="above"
      size="xs"
      aria-label={`Select ${name}`}
      checked={isSelected}
      onChange={({ currentTarget, nativeEvent }) =>
        onSelect(index, currentTarget.checked, (nativeEvent as MouseEvent).shiftKey)
      }
    />
  );
}

export function SelectLoaded({ loaded, selectLoaded }: Pick<RowSelection, 'loaded' | 'selectLoaded'>) {
  return (
    <Checkbox
      size="xs"
      aria-label="Select the keys in the list"
      checked={loaded === 'all'}
      indeterminate={loaded === 'some'}
      onChange={() => selectLoaded(loaded === 'none')}
    />
  );
}
