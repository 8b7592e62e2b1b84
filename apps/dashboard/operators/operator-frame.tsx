import { Text } from '@mantine/core';
import { Outlet } from '@tanstack/react-router';
import { useMe } from '../session/me.js';
import { TextLink } from '../ui/links.js';
import { UnknownProxyNotice } from './unknown-proxy-notice.js';
import { PageHeader } from '../ui/page-header.js';

export function OperatorFrame() {
  if (useMe().operator) {
    return (
      <>
        <UnknownProxyNotice />
        <Outlet />
      </>
    );
  }
  return (
    <>
      <PageHeader title="Only for operators" />
      <Text maw={520}>
        Operators manage the whole deployment. You are not an operator. An operator can invite you.{' '}
        <TextLink to="/">Go to your organization</TextLink>
      </Text>
    </>
  );
}
