import { Kbd, Modal, Switch, Table } from '@mantine/core';
import { useLocalStorage } from '@mantine/hooks';
import { useEffect, useEffectEvent } from 'react';

interface Shortcut {
  readonly keys: string;
  readonly what: string;
  readonly action: () => void;
}

/** The longest pause between the two keys of a sequence such as `g k`. */
const SEQUENCE_MS = 1000;
/** Elements in which keys have their own meaning. */
const BUSY = 'input, textarea, select, [contenteditable], [role=dialog], [role=menu], [role=listbox]';

/** The shortcuts of the current page. If two have the same keys, the last one wins. */
const shortcuts = new Map<string, Shortcut>();

/** @param keys a key such as `c`, or a sequence of two such as `g k` */
export function useShortcut(keys: string, what: string, action: () => void): void {
  const run = useEffectEvent(action);
  useEffect(() => {
    const shortcut = { keys, what, action: () => run() };
    shortcuts.set(keys, shortcut);
    return () => {
      if (shortcuts.get(keys) === shortcut) shortcuts.delete(keys);
    };
  }, [keys, what]);
}

/** Used once in the page: handles shortcuts. Users of speech input, for example, can switch them off (WCAG 2.1.4). */
export function useShortcutKeys(): [boolean, (enabled: boolean) => void] {
  const [enabled, setEnabled] = useLocalStorage({ key: 'keyledger-shortcuts', defaultValue: true });
  useEffect(() => {
    if (!enabled) return undefined;
    let before = '';
    let timer: number | undefined;
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (event.target instanceof Element && event.target.closest(BUSY)) return;
      const keys = before + event.key;
      clearTimeout(timer);
      before = '';
      const shortcut = shortcuts.get(keys);
      if (shortcut) {
        event.preventDefault();
        shortcut.action();
      } else if ([...shortcuts.keys()].some((other) => other.startsWith(`${keys} `))) {
        before = `${keys} `;
        timer = window.setTimeout(() => (before = ''), SEQUENCE_MS);
      }
    };
    document.addEventListener('keydown', onKeyDown);
    return () => {
      document.removeEventListener('keydown', onKeyDown);
      clearTimeout(timer);
    };
  }, [enabled]);
  return [enabled, setEnabled];
}

interface Props {
  readonly opened: boolean;
  readonly onClose: () => void;
  readonly enabled: boolean;
  readonly onEnable: (enabled: boolean) => void;
}

export function ShortcutsDialog({ opened, onClose, enabled, onEnable }: Props) {
  return (
    <Modal opened={opened} onClose={onClose} title="Keyboard shortcuts">
      <Table mb="md">
        <Table.Tbody>
          {[...shortcuts.values()].map(({ keys, what }) => (
            <Table.Tr key={keys}>
              <Table.Th scope="row" fw={400}>
                {what}
              </Table.Th>
              <Table.Td ta="right">
                {keys.split(' ').map((key) => (
                  <Kbd key={key} ml={4}>
                    {key}
                  </Kbd>
                ))}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Switch
        label="Use single keys as shortcuts"
        checked={enabled}
        onChange={(event) => onEnable(event.currentTarget.checked)}
      />
    </Modal>
  );
}
