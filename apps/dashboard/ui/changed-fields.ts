import { useMemo, useRef, type RefObject } from 'react';

/** What the user could lose. A search and a typed confirmation are no input of a form, so they may be lost. */
const FIELDS = 'input:not([type="search"], [role="searchbox"], [data-confirmation]), textarea, select';

type Field = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

/**
 * Which fields of a form the user changed, whatever keeps their values. The values of the fields are remembered each time
 * the focus moves, before the user can change them.
 */
export function useChangedFields(form: RefObject<HTMLElement | null>) {
  const before = useRef(new WeakMap<Field, string>());
  return useMemo(() => {
    const fields = () => [...(form.current?.querySelectorAll<Field>(FIELDS) ?? [])];
    return {
      remember: () => {
        for (const field of fields()) if (!before.current.has(field)) before.current.set(field, valueOf(field));
      },
      exist: () => fields().some((field) => before.current.has(field) && before.current.get(field) !== valueOf(field)),
      forget: () => {
        before.current = new WeakMap();
      },
    };
  }, [form]);
}

function valueOf(field: Field): string {
  const isChoice = field instanceof HTMLInputElement && ['checkbox', 'radio'].includes(field.type);
  return isChoice ? String(field.checked) : field.value;
}
