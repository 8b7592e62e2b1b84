import { readFile } from 'node:fs/promises';
import { expect, it } from '@jest/globals';
import { builtModule } from '../support/built-module.js';

const { commandLine } = await builtModule<typeof import('../../apps/cli/command-line.js')>(
  '../../apps/cli/command-line.js',
);
const codes = await builtModule<typeof import('../../apps/cli/exit-codes.js')>('../../apps/cli/exit-codes.js');
const { EXIT_CONFIG } = await builtModule<typeof import('#libs/platform/config.js')>('#libs/platform/config.js');

const guide = await readFile(new URL('../../docs/cli.md', import.meta.url), 'utf8');
const program = commandLine(process, () => undefined);

type Command = typeof program;

/** The commands that do something, by their words after `keyledger`. */
function leaves(command: Command, words: readonly string[] = []): [words: string, command: Command][] {
  const visible = command.createHelp().visibleCommands(command);
  const children = command.commands.filter((child) => visible.includes(child));
  if (children.length === 0) return [[words.join(' '), command]];
  return children.flatMap((child) => leaves(child, [...words, child.name()]));
}

const commands = new Map(leaves(program));

it('the guide names every command of every group', () => {
  expect(commands.size).toBeGreaterThan(40);
  expect([...commands.keys()].filter((words) => !guide.includes(`keyledger ${words}`))).toEqual([]);
});

it('every command has --json, except those that the guide names', () => {
  const [, exceptions] = /All\s+commands\s+have\s+`--json`,\s+except([^.]*)\./.exec(guide) ?? [];
  const without = [...commands].filter(([, { options }]) => !options.some(({ long }) => long === '--json'));
  expect(without.map(([words]) => words).filter((words) => !exceptions!.includes(`\`${words}\``))).toEqual([]);
});

it('the guide has one table with all exit codes', () => {
  const tables = Array.from(guide.matchAll(/^\| exit code.*\n\| -.*\n((?:\|.*\n)+)/gm), ([, rows]) => rows!);
  expect(tables).toHaveLength(1);
  const documented = Array.from(tables[0]!.matchAll(/^\| (\d+) /gm), ([, code]) => Number(code));
  expect(documented).toEqual([0, EXIT_CONFIG, ...Object.values(codes)].toSorted((a, b) => a - b));
});
