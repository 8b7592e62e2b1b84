import { Button, Drawer, Group } from '@mantine/core';
import { useRef, useState, type ReactNode } from 'react';
import { useChangedFields } from '../ui/changed-fields.js';
import { UncopiedQuestion, UnsavedQuestion, useLeaveGuard } from '../ui/leave-guard.js';
import type { ApiKey } from './api-keys.js';
import { KeyPairShown } from './key-pair.js';
import { LostSecret } from './lost-secret.js';

/** A key with a new secret. The secret is undefined if the response with it was lost. */
export interface MadeSecret {
  readonly apiKey: Pick<ApiKey, 'id' | 'name' | 'public_key'>;
  readonly secretKey: string | undefined;
}

interface Props {
  readonly title: string;
  /** Undefined until there is a new secret. */
  readonly made: MadeSecret | undefined;
  /** Called with another secret, after the first one was lost. */
  readonly onRotated: (secretKey: string) => void;
  readonly onClose: () => void;
  /** The form that makes the secret. It calls `close` when the user cancels it. */
  readonly children: (close: () => void) => ReactNode;
}

/** Shows a form and then the key pair that it made, once. The secret does not outlive the drawer. */
export function SecretDrawer({ title, made, onRotated, onClose, children }: Props) {
  const [copied, setCopied] = useState(false);
  const form = useRef<HTMLDivElement>(null);
  const changed = useChangedFields(form);
  const close = () => {
    changed.forget();
    onClose();
  };
  const guard = useLeaveGuard(() => (made ? made.secretKey !== undefined && !copied : changed.exist()), close);
  return (
    <>
      <Drawer
        opened
        onClose={guard.requestClose}
        position="right"
        size="lg"
        padding="lg"
        title={title}
        closeOnClickOutside={!made}
      >
        {!made && (
          <div ref={form} onFocusCapture={changed.remember}>
            {children(close)}
          </div>
        )}
        {made?.secretKey !== undefined && (
          <KeyPairShown
            pair={{ publicKey: made.apiKey.public_key, secretKey: made.secretKey }}
            onCopied={() => setCopied(true)}
          />
        )}
        {made && made.secretKey === undefined && <LostSecret apiKey={made.apiKey} onRotated={onRotated} />}
        {made && (
          <Group className="form-footer" justify="flex-end" mt="md">
            <Button variant={copied ? 'filled' : 'default'} onClick={guard.requestClose}>
              Done
            </Button>
          </Group>
        )}
      </Drawer>
      {made ? <UncopiedQuestion {...guard.question} /> : <UnsavedQuestion {...guard.question} />}
    </>
  );
}
