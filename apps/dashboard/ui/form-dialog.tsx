import { Modal, type ModalProps } from '@mantine/core';
import { useRef, type ReactNode } from 'react';
import { useChangedFields } from './changed-fields.js';
import { UnsavedQuestion, useLeaveGuard } from './leave-guard.js';

interface Props extends Omit<ModalProps, 'children'> {
  /** The form. It calls `close` when it is done, and when the user cancels it. */
  readonly children: (close: () => void) => ReactNode;
}

/** A dialog with a form. If the user changed a field, it asks before Escape, a click outside or Back discards the form. */
export function FormDialog({ opened, onClose, children, ...props }: Props) {
  const form = useRef<HTMLDivElement>(null);
  const changed = useChangedFields(form);
  const close = () => {
    changed.forget();
    onClose();
  };
  const guard = useLeaveGuard(() => opened && changed.exist(), close);
  return (
    <>
      <Modal {...props} opened={opened} onClose={guard.requestClose}>
        <div ref={form} onFocusCapture={changed.remember}>
          {children(close)}
        </div>
      </Modal>
      <UnsavedQuestion {...guard.question} />
    </>
  );
}
