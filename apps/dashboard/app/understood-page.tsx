import { Button, Code, List, Stack, Text } from '@mantine/core';
import { Outlet, SearchParamError, useLocation, useMatches, useNavigate } from '@tanstack/react-router';
import { z } from 'zod';
import { searchTermOf } from '#libs/api-key-format/search-term.js';
import { PageHeader } from '../ui/page-header.js';
import { UNKNOWN } from '../ui/search-values.js';

/**
 * The page, unless its address has a parameter that the page does not understand. Without that parameter, the page
 * would show more than the link asks for.
 */
export function UnderstoodPage() {
  const error = useMatches({ select: (matches) => matches.at(-1)?.searchError });
  return error instanceof SearchParamError ? <NotUnderstood faults={faultsOf(error)} /> : <Outlet />;
}

interface Fault {
  readonly name: string;
  readonly problem: string;
}

const LONGEST_VALUE = 60;

function NotUnderstood({ faults }: { readonly faults: readonly Fault[] }) {
  const navigate = useNavigate();
  const search: Record<string, unknown> = useLocation({ select: (location) => location.search });
  const names = new Set(faults.map(({ name }) => name));
  const others = Object.fromEntries(Object.entries(search).filter(([name]) => !names.has(name)));
  const [it, filter] = names.size > 1 ? ['them', 'filters'] : ['it', 'a filter'];
  return (
    <>
      <PageHeader title="Filter not understood" />
      <Stack align="flex-start" maw={560} role="alert">
        <Text>
          The address of this page has {filter} that the page does not understand. Nothing is shown, because without{' '}
          {it} the page would show more than the link asks for.
        </Text>
        <List style={{ overflowWrap: 'anywhere' }}>
          {faults.map(({ name, problem }) => (
            <List.Item key={name}>
              <Code>{`${shortened(name)}=${textOf(search[name])}`}</Code> {problem}
            </List.Item>
          ))}
        </List>
        <Button variant="default" onClick={() => void navigate({ to: '.', search: others as never, replace: true })}>
          Remove {it} and show the page
        </Button>
      </Stack>
    </>
  );
}

/** What the validation of a page's parameters found. */
const Issues = z.object({
  issues: z.array(
    z.object({
      code: z.string(),
      message: z.string(),
      path: z.array(z.union([z.string(), z.number()])),
      keys: z.array(z.string()).optional(),
    }),
  ),
});

/** One fault for each parameter. */
function faultsOf({ cause }: SearchParamError): Fault[] {
  const found = Issues.parse(cause).issues.flatMap(({ code, message, path, keys }) => {
    if (keys) return keys.map((name) => ({ name, problem: 'is not a filter of this page' }));
    return [{ name: String(path[0]), problem: code === 'custom' ? message : UNKNOWN }];
  });
  return [...new Map(found.toReversed().map((fault) => [fault.name, fault])).values()].toReversed();
}

/** Shows no more of a secret than lists do: a mistyped link may contain one. */
function textOf(value: unknown): string {
  if (value === undefined) return '';
  return shortened(typeof value === 'string' ? value : JSON.stringify(value));
}

function shortened(text: string): string {
  const shown = searchTermOf(text);
  return shown.length > LONGEST_VALUE ? `${shown.slice(0, LONGEST_VALUE)}…` : shown;
}
