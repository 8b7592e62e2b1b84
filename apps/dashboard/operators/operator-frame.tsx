import { Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Outlet } from '@tanstack/react-router';
import { useMe } from '../session/me.js';
import { TextLink } from '../ui/links.js';
import { UnknownProxyNotice } from './unknown-proxy-notice.js';
import { PageHeader } from '../ui/page-header.js';
import { PageSkeleton } from '../ui/page-skeleton.js';
import { readinessQuery } from './queries.js';

export function OperatorFrame() {
  return useMe().operator ? <OperatorPages /> : <NotAnOperator />;
}

function OperatorPages() {
  // A notice that is shown later than the page would move it.
  const { isPending } = useQuery(readinessQuery);
  if (isPending) return <PageSkeleton />;
  return (
    <>
      <UnknownProxyNotice />
      <Outlet />
    </>
  );
}

function NotAnOperator() {
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
