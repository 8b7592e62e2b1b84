import { Container, Stack } from '@mantine/core';
import { useMe } from '../session/me.js';
import { PageHeader } from '../ui/page-header.js';
import { AccountName } from './account-name.js';
import { ChangePassword } from './change-password.js';
import { Sessions } from './sessions.js';

export function AccountPage() {
  const me = useMe();
  return (
    <Container size="sm" px={0} mx={0}>
      <PageHeader title="Account" description={`${me.name}, ${me.email}`} />
      <Stack gap="xl">
        <AccountName />
        <ChangePassword />
        <Sessions />
      </Stack>
    </Container>
  );
}
