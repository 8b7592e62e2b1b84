import { PasswordInput, type PasswordInputProps } from '@mantine/core';
import { PASSWORD_MIN } from '#libs/contract/accounts.js';

/** For a password that the user makes up. */
export function NewPasswordInput(props: PasswordInputProps) {
  return (
    <PasswordInput
      description={`At least ${PASSWORD_MIN} characters. Several unrelated words are hard to guess and easy to remember.`}
      autoComplete="new-password"
      required
      {...props}
    />
  );
}
