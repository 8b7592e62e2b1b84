import { Box, Select, Text, type SelectProps } from '@mantine/core';
import type { Role } from '#libs/contract/organizations.js';
import { roleInWords, roleName } from './roles.js';

interface Props extends Omit<SelectProps<Role>, 'data' | 'onChange'> {
  readonly roles: readonly Role[];
  readonly onChange: (role: Role) => void;
}

/** Shows each role with its permissions. */
export function RoleSelect({ roles, onChange, ...rest }: Props) {
  return (
    <Select<Role>
      {...rest}
      data={roles.map((role) => ({ value: role, label: roleName(role) }))}
      onChange={(role) => role && onChange(role)}
      allowDeselect={false}
      comboboxProps={{ width: 300, position: 'bottom-end' }}
      renderOption={({ option }) => (
        <Box>
          <Text fw={500}>{option.label}</Text>
          <Text size="xs" c="dimmed">
            {roleInWords[option.value]}
          </Text>
        </Box>
      )}
    />
  );
}
