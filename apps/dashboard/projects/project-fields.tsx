import { Textarea, TextInput } from '@mantine/core';
import type { UseFormReturnType } from '@mantine/form';

export interface ProjectValues {
  name: string;
  description: string;
}

export function ProjectFields({ form }: { readonly form: UseFormReturnType<ProjectValues> }) {
  return (
    <>
      <TextInput label="Name" required autoComplete="off" data-autofocus {...form.getInputProps('name')} />
      <Textarea
        label="Description (optional)"
        maxLength={1000}
        autosize
        minRows={2}
        maxRows={6}
        {...form.getInputProps('description')}
      />
    </>
  );
}

/** The request body: an empty description becomes null. */
export function bodyOf({ name, description }: ProjectValues) {
  return { name, description: description.trim() || null };
}
