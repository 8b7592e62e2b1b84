import { CloseButton, Kbd, Loader, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { useEffect, useRef, useState } from 'react';
import { holdsSecret, searchTermOf } from '#libs/api-key-format/search-term.js';
import { useShortcut } from './shortcuts.js';

interface Props {
  readonly label: string;
  /** The label by default. */
  readonly placeholder?: string;
  /** The search text in the address. */
  readonly value: string | undefined;
  readonly onSearch: (text: string | undefined) => void;
  /** Whether a search is running. */
  readonly pending?: boolean;
}

const SETTLED_MS = 200;

/**
 * Shows the search text of the address, and updates it when the user stops typing. Each key press renders only this
 * field. If the user pastes a whole key, only the part that lists show gets into the address and stays in the field.
 */
export function SearchBox({ label, placeholder = label, value = '', onSearch, pending = false }: Props) {
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState(value);
  const reported = useRef(value);
  const tell = useDebouncedCallback((next: string) => {
    reported.current = searchTermOf(next);
    onSearch(reported.current || undefined);
  }, SETTLED_MS);
  useShortcut('/', label, () => input.current?.focus());
  // Back and Forward change the address.
  useEffect(() => {
    if (value === reported.current) return;
    reported.current = value;
    setText(value);
  }, [value]);
  const change = (next: string) => {
    const kept = holdsSecret(next) ? searchTermOf(next) : next;
    setText(kept);
    tell(kept);
  };
  return (
    <TextInput
      ref={input}
      role="searchbox"
      aria-label={label}
      placeholder={placeholder}
      value={text}
      onChange={(event) => change(event.currentTarget.value)}
      leftSection={pending ? <Loader size={14} /> : <IconSearch size={16} />}
      rightSection={
        text ? (
          <CloseButton size="sm" aria-label="Clear the search" onClick={() => change('')} />
        ) : (
          <Kbd size="xs">/</Kbd>
        )
      }
      flex={1}
      maw={360}
      // Narrower, the placeholder would be cut.
      miw={216}
    />
  );
}
