import { ActionIcon, Menu } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import {
  IconCopy,
  IconDots,
  IconPlayerPause,
  IconPlayerPlay,
  IconRefresh,
  IconTrash,
  IconX,
} from '@tabler/icons-react';
import type { KeyAction } from './actions.js';
import type { ApiKey } from './api-keys.js';
import { isEnded } from './key-end.js';

interface Props {
  readonly apiKey: ApiKey;
  readonly onSwitch: (enabled: boolean) => void;
  readonly onAction: (action: KeyAction) => void;
}

export function KeyMenu({ apiKey, onSwitch, onAction }: Props) {
  const clipboard = useClipboard();
  const copy = () => {
    clipboard.copy(apiKey.public_key);
    notifications.show({ message: 'The public key is copied.' });
  };
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label={`Actions for ${apiKey.name}`}>
          <IconDots size={16} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item leftSection={<IconCopy size={16} />} onClick={copy}>
          Copy public key
        </Menu.Item>
        {!isEnded(apiKey) && (
          <>
            <Menu.Item leftSection={<IconRefresh size={16} />} onClick={() => onAction('rotate')}>
              Rotate …
            </Menu.Item>
            {apiKey.status === 'active' ? (
              <Menu.Item leftSection={<IconPlayerPause size={16} />} onClick={() => onSwitch(false)}>
                Disable
              </Menu.Item>
            ) : (
              <Menu.Item leftSection={<IconPlayerPlay size={16} />} onClick={() => onSwitch(true)}>
                Enable
              </Menu.Item>
            )}
          </>
        )}
        <Menu.Divider />
        {!isEnded(apiKey) && (
          <Menu.Item leftSection={<IconX size={16} />} color="red" onClick={() => onAction('revoke')}>
            Revoke …
          </Menu.Item>
        )}
        <Menu.Item leftSection={<IconTrash size={16} />} color="red" onClick={() => onAction('delete')}>
          Delete …
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
