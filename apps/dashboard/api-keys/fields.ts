import type { UseFormReturnType } from '@mantine/form';
import type { ReactNode } from 'react';

/** What a field of our own takes of a form, with its type. */
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

/** What was said about a field may stand out of sight. */
export function focusFirstProblem(): void {
  // Once it is drawn.
  setTimeout(() => document.querySelector<HTMLElement>('form [aria-invalid="true"]')?.focus());
}
