import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Shell } from './command.js';

const run = promisify(execFile);
const ROOT = new URL('../..', import.meta.url).pathname;
const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };

let shell: Shell;

beforeAll(async () => {
  shell = await Shell.open();
});

afterAll(() => shell.close());

/** The suggestions for the last word. */
async function suggestions(...words: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await shell.runProcess(['complete', '--', ...words]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout
    .split('\n')
    .filter((line) => line && !line.startsWith(':'))
    .map((line) => line.split('\t')[0]!);
}

describe('completion', () => {
  it('suggests commands, options and the values of an option', async () => {
    expect(await suggestions('ke')).toEqual(['keys', 'key-policy']);
    expect(await suggestions('keys', '')).toEqual(
      expect.arrayContaining(['list', 'show', 'create', 'update', 'rotate', 'verify', 'delete']),
    );
    expect(await suggestions('keys', 'rotate', '--gr')).toEqual(['--grace']);
    expect(await suggestions('keys', 'list', '--status', 'a')).toEqual(['active']);
  });

  it.each([
    ['bash', ['-n']],
    ['zsh', ['-n']],
    ['fish', ['--no-execute']],
  ])('has a script for %s that asks the program', async (name, check) => {
    const { code, stdout } = await shell.runProcess(['completion', name]);
    expect(code).toBe(0);
    expect(stdout).toContain('keyledger complete -- ');
    // Only bash is on every machine.
    if (name === 'bash') await expect(run(name, [...check, '-c', stdout])).resolves.toMatchObject({ stderr: '' });
  });

  it('has no script for another shell', async () => {
    const { code, stderr } = await shell.run(['completion', 'tcsh']);
    expect({ code, stderr }).toEqual({
      code: 64,
      stderr: expect.stringContaining('Allowed choices are bash, zsh, fish'),
    });
  });

  it('completes in bash itself', async () => {
    const script = [
      `keyledger() { '${process.execPath}' '${join(ROOT, 'dist/apps/cli/main.js')}' "$@"; }`,
      // The function of the package bash-completion, for words without = and :.
      '_get_comp_words_by_ref() { words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; cur=${words[cword]}; }',
      'eval "$(keyledger completion bash)"',
      'compopt() { :; }',
      'COMP_WORDS=(keyledger invitations ac) COMP_CWORD=2',
      '__keyledger_complete',
      'echo "${COMPREPLY[@]}"',
    ].join('\n');
    const { stdout } = await run('bash', ['--norc', '-c', script], { env: shell.env() });
    expect(stdout.trim()).toBe('accept');
  });
});

describe('the program', () => {
  it('shows its version', async () => {
    expect(await shell.run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});
