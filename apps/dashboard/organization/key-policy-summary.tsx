import { Skeleton, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { ErrorState } from '../ui/error-state.js';
import { ButtonLink } from '../ui/links.js';
import { Section } from '../ui/section.js';
import { keyPolicyQuery, rulesInWords, unusedRuleInWords } from './key-policy.js';
import { RuleList } from './rule-list.js';

/** The rules of the key policy, in words. */
export function KeyPolicySummary({ organizationId }: { readonly organizationId: string }) {
  const { data, error, refetch } = useQuery(keyPolicyQuery(organizationId));
  if (error) return <ErrorState error={error} onRetry={() => void refetch()} />;
  if (!data) return <Skeleton height={24} />;
  const unused = unusedRuleInWords(data.policy);
  const rules = [...rulesInWords(data.policy), ...(unused ? [unused] : [])];
  if (rules.length === 0) return <Text>No rules: keys may be created with any settings.</Text>;
  return <RuleList rules={rules} />;
}

interface Props {
  readonly organizationId: string;
  /** Whether the user may change the policy. */
  readonly changes: boolean;
}

/** The key policy among the settings of the organization. */
export function KeyPolicySection({ organizationId, changes }: Props) {
  return (
    <Section
      title="Key policy"
      description="What every key of the organization must keep to."
      actions={
        <ButtonLink variant="default" to="/org/$organizationId/settings/key-policy" params={{ organizationId }}>
          {changes ? 'Change the key policy' : 'Show the key policy'}
        </ButtonLink>
      }
    >
      <KeyPolicySummary organizationId={organizationId} />
    </Section>
  );
}
