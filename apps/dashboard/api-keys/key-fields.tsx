import { MultiSelect, Stack, Switch, Textarea, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { keyTextNames, keyTexts, type KeyTextName } from '#libs/contract/api-key-texts.js';
import { scopesQuery } from '../organization/scopes.js';
import { EntriesField, type FieldProps } from './entries-field.js';
import { domainProblem, networkProblem, type MetadataEntry } from './key-form.js';
import { ListField } from './list-field.js';
import { applicationScopes, isCovered } from './scopes.js';
import { listed } from '../ui/format.js';

interface KeyTextsProps {
  readonly form: { readonly getInputProps: (field: KeyTextName) => object };
}

/** A field for each free text of a key. */
export function KeyTextFields({ form }: KeyTextsProps) {
  return keyTextNames.map((name) => {
    const { label, hint, maxLength, multiline } = keyTexts[name];
    const props = { label, description: `${hint}.`, maxLength, autoComplete: 'off', ...form.getInputProps(name) };
    return multiline ? <Textarea key={name} autosize minRows={1} {...props} /> : <TextInput key={name} {...props} />;
  });
}

export function DomainsField(props: FieldProps<readonly string[]>) {
  return (
    <ListField
      {...props}
      label="Allowed domains"
      description="Hosts whose pages may use the public key without the secret: app.example.com, or *.example.com for all subdomains. If empty, no page may."
      placeholder={props.value.length === 0 ? 'app.example.com, *.example.com' : ''}
      problem={domainProblem}
    />
  );
}

export function AddressesField(props: FieldProps<readonly string[]>) {
  return (
    <ListField
      {...props}
      label="Allowed IP addresses"
      description="Addresses or networks from which the key may be used. If empty, it may be used from everywhere."
      placeholder={props.value.length === 0 ? '192.0.2.0/24, 2001:db8::1' : ''}
      problem={networkProblem}
    />
  );
}

interface PublicScopesProps extends FieldProps<readonly string[] | null> {
  readonly scopes: readonly string[];
}

/** The scopes of the public key: only application scopes, and only those of the key. */
export function PublicScopesField({ value, onChange, scopes, error, disabled }: PublicScopesProps) {
  const registered = useQuery(scopesQuery);
  const application = applicationScopes(registered.data ?? []);
  const possible = application.filter((scope) => isCovered(scopes, scope));
  return (
    <Stack gap={6}>
      <Switch
        label="Limit the scopes of the public key"
        description={
          possible.length > 0
            ? `Without a limit, it has ${listed(possible)}.`
            : 'With these scopes of the key, the public key has no scopes.'
        }
        checked={value !== null}
        disabled={disabled}
        onChange={(event) => onChange(event.currentTarget.checked ? [] : null)}
      />
      {value && (
        <MultiSelect
          label="Public scopes"
          description="If empty, the public key has no scopes."
          data={[...new Set([...possible, ...value])]}
          value={[...value]}
          onChange={onChange}
          error={error}
          disabled={disabled}
          searchable
        />
      )}
    </Stack>
  );
}

export function MetadataField(props: FieldProps<readonly MetadataEntry[]>) {
  return (
    <EntriesField
      {...props}
      label="Metadata"
      description="Your own data about the key. Every verification returns it."
      one={['an', 'entry']}
      most={50}
      newEntry={() => ({ name: '', value: '' })}
    >
      {(entry, set, at) => (
        <>
          <TextInput
            aria-label={`Name of entry ${at + 1}`}
            placeholder="team"
            flex={1}
            maxLength={40}
            value={entry.name}
            disabled={props.disabled}
            onChange={(event) => set({ name: event.currentTarget.value })}
          />
          <TextInput
            aria-label={`Value of entry ${at + 1}`}
            placeholder="checkout"
            flex={2}
            maxLength={500}
            value={entry.value}
            disabled={props.disabled}
            onChange={(event) => set({ value: event.currentTarget.value })}
          />
        </>
      )}
    </EntriesField>
  );
}
