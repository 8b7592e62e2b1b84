import type { UseFormReturnType } from '@mantine/form';
import type { ReactNode } from 'react';

/** The typed properties that a custom field gets from a form. */
export function fieldProps<Values extends object, Field extends keyof Values & string>(
  form: Pick<UseFormReturnType<Values, Values, never>, 'errors'> & {
    readonly values: Values;
    readonly getInputProps: (field: Field) => { readonly onChange: (value: Values[Field]) => void };
  },
  field: Field,
): { value: Values[Field]; onChange: (value: Values[Field]) => void; error: ReactNode } {
  return {
    value: form.values[field],
    onChange: form.getInputProps(field).onChange,
    error: form.errors[field],
  };
}

/** Moves the focus to the first invalid field, which may be out of sight. */
export function focusFirstProblem(): void {
  // After the errors are rendered.
  setTimeout(() => document.querySelector<HTMLElement>('form [aria-invalid="true"]')?.focus());
}
