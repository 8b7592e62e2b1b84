import { Alert, List } from '@mantine/core';
import { IconShieldCheck } from '@tabler/icons-react';
import type { KeyPolicy } from '#libs/contract/key-policy.js';
import { rulesInWords } from '../organization/key-policy.js';

/** What the key policy demands of the key in a form. Nothing if it demands nothing. */
export function KeyPolicyHint({ policy }: { readonly policy: KeyPolicy }) {
  const rules = rulesInWords(policy);
  if (rules.length === 0) return null;
  return (
    <Alert variant="light" icon={<IconShieldCheck />} title="Key policy of this organization" p="sm">
      <List size="sm">
        {rules.map((rule) => (
          <List.Item key={rule} style={{ overflowWrap: 'anywhere' }}>
            {rule}
          </List.Item>
        ))}
      </List>
    </Alert>
  );
}
