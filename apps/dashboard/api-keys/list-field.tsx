import { Pill, TagsInput, type TagsInputProps } from '@mantine/core';
import { useState } from 'react';

interface Props extends Omit<TagsInputProps, 'value' | 'onChange'> {
  readonly value: readonly string[];
  readonly onChange: (items: string[]) => void;
  /** What is wrong with an item, as text that follows the item; undefined if it is valid. */
  readonly problem: (item: string) => string | undefined;
}

/** A list of short texts. The user types one, or several with commas between them. They are checked at once. */
export function ListField({ value, onChange, problem, error, ...props }: Props) {
  const [typed, setTyped] = useState('');
  const wrong = [...value, ...split(typed)].find((item) => problem(item));
  return (
    <TagsInput
      {...props}
      value={[...value]}
      onChange={(items) => onChange([...new Set(items.flatMap(split))])}
      searchValue={typed}
      onSearchChange={setTyped}
      splitChars={[',', ' ', '\n']}
      openOnFocus={false}
      error={wrong ? `${wrong} ${problem(wrong)}` : error}
      renderPill={({ option, onRemove, disabled }) => (
        <Pill
          className={problem(option.label) ? 'wrong-item' : undefined}
          withRemoveButton={!disabled}
          onRemove={onRemove}
          removeButtonProps={{ 'aria-label': `Remove ${option.label}`, 'aria-hidden': false, tabIndex: 0 }}
        >
          {option.label}
        </Pill>
      )}
    />
  );
}

function split(text: string): string[] {
  return text.split(/[,\s]+/).filter(Boolean);
}
