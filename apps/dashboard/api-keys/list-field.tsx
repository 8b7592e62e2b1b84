import { Pill, TagsInput, type TagsInputProps } from '@mantine/core';
import { useState } from 'react';

interface Props extends Omit<TagsInputProps, 'value' | 'onChange'> {
  readonly value: readonly string[];
  readonly onChange: (items: string[]) => void;
  /** What is wrong with one item, in words that follow it; undefined where nothing is. */
  readonly problem: (item: string) => string | undefined;
}

/** Several short texts, one by one or with commas between them, judged while they are typed. */
export function ListField({ value, onChange, problem, error, ...props }: Props) {
  const [typed, setTyped] = useState('');
  const wrong = [...value, ...apart(typed)].find((item) => problem(item));
  return (
    <TagsInput
      {...props}
      value={[...value]}
      onChange={(items) => onChange([...new Set(items.flatMap(apart))])}
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

function apart(text: string): string[] {
  return text.split(/[,\s]+/).filter(Boolean);
}
