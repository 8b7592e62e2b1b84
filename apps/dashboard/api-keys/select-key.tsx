import { useEffect, useRef } from 'react';
import type { RowSelection } from './key-selection.js';

interface Props {
  readonly name: string;
  readonly index: number;
  readonly isSelected: boolean;
  readonly onSelect: RowSelection['select'];
}

/** With Shift, it selects all keys from the one that was selected last. A plain element, as a list has one in each row. */
export function SelectKey({ name, index, isSelected, onSelect }: Props) {
  return (
    <input
      type="checkbox"
      className="select-key above"
      aria-label={`Select ${name}`}
      checked={isSelected}
      onChange={({ currentTarget, nativeEvent }) =>
        onSelect(index, currentTarget.checked, (nativeEvent as MouseEvent).shiftKey)
      }
    />
  );
}

export function SelectLoaded({ loaded, selectLoaded }: Pick<RowSelection, 'loaded' | 'selectLoaded'>) {
  const ref = useRef<HTMLInputElement>(null);
  useEffect(() => {
    ref.current!.indeterminate = loaded === 'some';
  }, [loaded]);
  return (
    <input
      ref={ref}
      type="checkbox"
      className="select-key"
      aria-label="Select the keys in the list"
      checked={loaded === 'all'}
      onChange={() => selectLoaded(loaded === 'none')}
    />
  );
}
