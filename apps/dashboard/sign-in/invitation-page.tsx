import { Button, SegmentedControl, Skeleton, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { RouteOutput } from '#libs/contract/route.js';
import type { describeInvitation } from '#libs/contract/members.js';
import { firstPageOf } from '../organization/first-page.js';
import { organizationsQuery } from '../organization/organizations.js';
import { meQuery } from '../session/me.js';
import { oneTimeToken } from '../session/one-time-token.js';
import { api, publicApi, SignedOut, signOut } from '../session/session.js';
import { ErrorState } from '../ui/error-state.js';
import { TextLink } from '../ui/links.js';
import { Entry } from './entry.js';
import { RegisterForm } from './register-form.js';
import { SignInForm } from './sign-in-form.js';

type Invitation = RouteOutput<typeof describeInvitation>;

const acceptInvitation = () => api.invitations.accept({ body: { token: oneTimeToken } });

/** The target of invitation links, including that of the first operator. */
export function InvitationPage() {
  const invitation = useQuery({
    queryKey: ['invitation'],
    queryFn: () => publicApi.invitations.describe({ body: { token: oneTimeToken } }),
    // Loaded once: an accepted invitation can no longer be read.
    staleTime: Infinity,
    enabled: oneTimeToken !== '',
  });
  if (!oneTimeToken) {
    return (
      <Entry title="Invitation">
        <Text>
          This page needs the whole invitation link. Open the link again, or <TextLink to="/sign-in">sign in</TextLink>.
        </Text>
      </Entry>
    );
  }
  if (invitation.error) {
    return (
      <Entry title="Invitation" footer={<TextLink to="/sign-in">Sign in</TextLink>}>
        <ErrorState error={invitation.error} />
      </Entry>
    );
  }
  if (!invitation.data) {
    return (
      <Entry title="Invitation">
        <Skeleton height={200} />
      </Entry>
    );
  }
  return (
    <Entry title={titleOf(invitation.data)} description={descriptionOf(invitation.data)}>
      <Acceptance invitation={invitation.data} />
    </Entry>
  );
}

function Acceptance({ invitation }: { readonly invitation: Invitation }) {
  const me = useQuery(meQuery);
  const navigate = useNavigate();
  const queries = useQueryClient();
  const lead = async () => {
    await Promise.all([organizationsQuery, meQuery].map(({ queryKey }) => queries.invalidateQueries({ queryKey })));
    const { organization, role } = invitation;
    // A new operator begins as everybody does, and finds the pages of operators beside.
    await navigate(organization ? firstPageOf({ id: organization.id, role }) : { to: '/' });
  };
  const accept = useMutation({ mutationFn: acceptInvitation, onSuccess: lead });
  const leave = useMutation({ mutationFn: signOut });
  const [hasAccount, setHasAccount] = useState(false);

  if (me.data) {
    return (
      <Stack>
        <Text>
          You are signed in as <strong>{me.data.email}</strong>.
        </Text>
        <ErrorState error={accept.error ?? leave.error} />
        <Button onClick={() => accept.mutate()} loading={accept.isPending}>
          Accept the invitation
        </Button>
        <Button variant="default" onClick={() => leave.mutate()} loading={leave.isPending}>
          Use another account
        </Button>
      </Stack>
    );
  }
  if (!(me.error instanceof SignedOut)) return me.error ? <ErrorState error={me.error} /> : <Skeleton height={200} />;
  return (
    <Stack>
      <SegmentedControl
        fullWidth
        aria-label="Whether you have an account"
        value={hasAccount ? 'sign-in' : 'register'}
        onChange={(value) => setHasAccount(value === 'sign-in')}
        data={[
          { value: 'register', label: 'Create an account' },
          { value: 'sign-in', label: 'Sign in' },
        ]}
      />
      {hasAccount ? (
        <SignInForm label="Sign in and accept" onSignedIn={() => accept.mutateAsync()} />
      ) : (
        <RegisterForm invitation={{ token: oneTimeToken, email: invitation.email }} onSignedIn={lead} />
      )}
    </Stack>
  );
}

function titleOf({ organization }: Invitation): string {
  return organization ? `Join ${organization.name}` : 'Become an operator';
}

function descriptionOf({ role, email }: Invitation): string {
  const what = role
    ? `You are invited with the role ${role}.`
    : 'Operators manage the whole deployment: all organizations, their limits and their audit logs.';
  return email ? `${what} The invitation is for ${email}.` : what;
}
