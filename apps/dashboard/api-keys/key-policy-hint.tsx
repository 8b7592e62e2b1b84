import { Alert } from '@mantine/core';
import { IconShieldCheck } from '@tabler/icons-react';
import type { KeyPolicy } from '#libs/contract/key-policy.js';
import { rulesInWords } from '../organization/key-policy.js';
import { RuleList } from '../organization/rule-list.js';

/** What the key policy demands of the key in a form. Nothing if it demands nothing. */
export function KeyPolicyHint({ policy }: { readonly policy: KeyPolicy }) {
  const rules = rulesInWords(policy);
  if (rules.length === 0) return null;
  return (
    <Alert variant="light" icon={<IconShieldCheck />} title="Key policy of this organization" p="sm">
      <RuleList rules={rules} size="sm" />
    </Alert>
  );
}
