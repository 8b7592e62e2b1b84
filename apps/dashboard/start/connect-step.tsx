import { Code, SegmentedControl, Skeleton, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { ErrorState } from '../ui/error-state.js';
import { Snippet } from './snippet.js';
import { sourceQuery } from './snippet-texts.js';
import { stackNames, type StackName } from './start-search.js';
import { snippetOf, stacks, type Values } from './stacks.js';
import { Step } from './step.js';

interface Props {
  readonly stack: StackName;
  readonly values: Values;
  readonly done: boolean;
  readonly onChoose: (stack: StackName) => void;
  readonly onCopied: () => void;
}

export function ConnectStep({ stack, values, done, onChoose, onCopied }: Props) {
  const { data: source, error } = useQuery(sourceQuery(stack));
  const { label, place, file, commands } = stacks[stack];
  return (
    <Step number={3} title="Connect your API" done={done}>
      <SegmentedControl
        className="start-stacks"
        aria-label="What asks Keyledger"
        value={stack}
        onChange={onChoose}
        data={stackNames.map((value) => ({ value, label: stacks[value].label }))}
      />
      <Text>{sentenceOf(stack)}</Text>
      <ErrorState error={error} />
      {file && (
        <Text>
          Save this as <Code>{file}</Code>:
        </Text>
      )}
      {source === undefined ? (
        <Skeleton height={120} />
      ) : (
        <Snippet label={`The snippet for ${label}`} text={snippetOf(stack, source, values)} onCopied={onCopied} />
      )}
      {commands.length > 0 && (
        <>
          <Text>Then run:</Text>
          <Snippet label={`The commands for ${label}`} text={commands.join('\n')} />
        </>
      )}
      {place === 'gateway' && file && values.url.startsWith('https:') && (
        <Text>Replace 127.0.0.1:3000 by the address where your gateway reaches the API of Keyledger.</Text>
      )}
    </Step>
  );
}

function sentenceOf(stack: StackName): string {
  if (stack === 'curl') return 'Nothing to install. This command asks Keyledger about one request, as a gateway does.';
  return stacks[stack].place === 'gateway'
    ? 'The gateway asks Keyledger about each request before it reaches your API. Your API does not change.'
    : 'This program asks Keyledger about each request and listens on port 8080.';
}
