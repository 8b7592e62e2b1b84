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
import type { KeysProps } from './listed-keys.js';
import type { ApiKey } from './api-keys.js';
import { isEnded } from './key-end.js';

interface Props extends Pick<KeysProps, 'onSwitch' | 'onAction'> {
  readonly apiKey: ApiKey;
}

export function KeyMenu({ apiKey, onSwitch, onAction }: Props) {
  const clipboard = useClipboard();
  const copy = (what: string, value: string) => {
    clipboard.copy(value);
    notifications.show({ message: `The ${what} is copied.` });
  };
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label={`Actions for ${apiKey.name}`}>
          <IconDots size={16} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item leftSection={<IconCopy size={16} />} onClick={() => copy('public key', apiKey.public_key)}>
          Copy public key
        </Menu.Item>
        <Menu.Item leftSection={<IconCopy size={16} />} onClick={() => copy('id', apiKey.id)}>
          Copy id
        </Menu.Item>
        {onSwitch && onAction && <Changes {...{ apiKey, onSwitch, onAction }} />}
      </Menu.Dropdown>
    </Menu>
  );
}

function Changes({ apiKey, onSwitch, onAction }: { readonly [Name in keyof Props]-?: NonNullable<Props[Name]> }) {
  return (
    <>
      {!isEnded(apiKey) && (
        <>
          <Menu.Item leftSection={<IconRefresh size={16} />} onClick={() => onAction(apiKey, 'rotate')}>
            Rotate …
          </Menu.Item>
          {apiKey.status === 'active' ? (
            <Menu.Item leftSection={<IconPlayerPause size={16} />} onClick={() => onSwitch(apiKey, false)}>
              Disable
            </Menu.Item>
          ) : (
            <Menu.Item leftSection={<IconPlayerPlay size={16} />} onClick={() => onSwitch(apiKey, true)}>
              Enable
            </Menu.Item>
          )}
        </>
      )}
      <Menu.Divider />
      {!isEnded(apiKey) && (
        <Menu.Item leftSection={<IconX size={16} />} color="red" onClick={() => onAction(apiKey, 'revoke')}>
          Revoke …
        </Menu.Item>
      )}
      <Menu.Item leftSection={<IconTrash size={16} />} color="red" onClick={() => onAction(apiKey, 'delete')}>
        Delete …
      </Menu.Item>
    </>
  );
}
