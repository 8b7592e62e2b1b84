import { queryOptions } from '@tanstack/react-query';
import type { StackName } from './start-search.js';
import { stacks } from './stacks.js';

const sources = import.meta.glob<string>(['../../../docs/first-request/*', '../../../docs/gateways.md'], {
  query: '?raw',
  import: 'default',
});

/** The source of a stack's snippet, a file of its own that is loaded when it is needed. */
export const sourceQuery = (name: StackName) =>
  queryOptions({
    queryKey: ['snippet', name],
    queryFn: () => sources[`../../../docs/${stacks[name].source}`]!(),
    staleTime: Infinity,
  });
