import { Code, Select, Text } from '@mantine/core';
import { useMe } from '../session/me.js';
import { Snippet } from './snippet.js';
import { Step } from './step.js';

interface Props {
  readonly scopes: readonly { readonly scope: string; readonly description: string | null }[];
  readonly chosen: string | undefined;
  readonly done: boolean;
  readonly onChoose: (scope: string) => void;
}

export function ScopeStep({ scopes, chosen, done, onChoose }: Props) {
  const { operator } = useMe();
  return (
    <Step number={1} title="Choose a scope of your API" done={done}>
      <Text>A scope names what a key may do, as resource:action. A request needs a key with the scope.</Text>
      {scopes.length > 0 ? (
        <Select
          label="Scope"
          maw={320}
          allowDeselect={false}
          data={[...new Set([...scopes.map(({ scope }) => scope), ...(chosen ? [chosen] : [])])]}
          value={chosen ?? null}
          onChange={(value) => value && onChoose(value)}
        />
      ) : (
        <Text>This deployment has no scopes for your API yet.</Text>
      )}
      {operator ? (
        <>
          <Text c="dimmed">
            These are the scopes in the setting <Code>APP_SCOPES</Code>. To set your own, restart Keyledger with this
            setting:
          </Text>
          <Snippet label="The command that sets the scopes" text="APP_SCOPES=orders:read,orders:write npm start" />
        </>
      ) : (
        <Text c="dimmed">
          An operator of this deployment sets the scopes with <Code>APP_SCOPES</Code>.
        </Text>
      )}
    </Step>
  );
}
