import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { faultsOf, faultsOfRun, sentencesOf } from '../support/documented-tests.js';

const root = join(import.meta.dirname, '../..');
const sources = readFileSync(join(root, 'docs/sources.md'), 'utf8');

function read(path: string): string | undefined {
  const file = join(root, path);
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

describe('docs/sources.md', () => {
  it('quotes every sentence word for word, responds to it, and names tests that exist', () => {
    const faults = sentencesOf(sources).flatMap((sentence) =>
      faultsOf(sentence, read).map((fault) => `docs/sources.md:${sentence.line}: "${sentence.quote}" ${fault}`),
    );
    expect(faults).toEqual([]);
  });

  it('has every test in the checked form', () => {
    const named = sentencesOf(sources).flatMap(({ tests }) => tests);
    expect(sources.match(/^ *Test: /gm)).toHaveLength(named.length);
  });

  it('has a section for each document', () => {
    const documents = globSync('test/sources/*/*.{md,txt}', { cwd: root }).map((path) => path.replaceAll('\\', '/'));
    expect(documents.length).toBeGreaterThan(0);
    expect(documents.filter((document) => !sources.includes(`](../${document})`))).toEqual([]);
  });
});

const item = (...paragraphs: string[]) =>
  sentencesOf(
    `## System\n\n[Its document](../test/sources/system/system.txt).\n\n- ${paragraphs.join('\n\n  ')}\n\n## Next\n`,
  )[0]!;
const tree: Record<string, string> = {
  'test/sources/system/system.txt': 'Keys are\nmany. *All* work.',
  'test/keys.spec.ts': `describe('a key', () => { it('works', () => {}); it.each([1])('works for %s', () => {}); });`,
};
const faultsIn = (...paragraphs: string[]) => faultsOf(item(...paragraphs), (path) => tree[path]);

describe('its check', () => {
  const good = ['"Keys are many."', 'They are.', 'Test: `test/keys.spec.ts › a key › works`'] as const;
  const [quote, response, test] = good;

  it('accepts correct items, also over several lines or escaped', () => {
    expect(faultsIn(...good)).toEqual([]);
    expect(faultsIn('"Keys\n  are many. \\*All\\* work."', response, test)).toEqual([]);
    expect(faultsIn(quote, response, 'Test: `test/keys.spec.ts › a key › works for %s`')).toEqual([]);
  });

  it.each([
    ['another word', ['"Keys are few."', response, test], 'is not in its document, word for word'],
    ['no quotation', ['Keys are many.', response, test], 'is not in its document, word for word'],
    ['no response', [quote, test], 'has no response'],
    ['no test', [quote, response], 'has no test'],
    ['another mark', [quote, response, 'Test: to come'], 'has no test'],
    ['a missing file', [quote, response, 'Test: `test/no.spec.ts › a key › works`'], 'test/no.spec.ts'],
    ['a renamed test', [quote, response, 'Test: `test/keys.spec.ts › a key › worked`'], '› a key › worked'],
    ['a renamed describe', [quote, response, 'Test: `test/keys.spec.ts › keys › works`'], '› keys › works'],
  ])('finds %s', (_, paragraphs, fault) => {
    expect(faultsIn(...paragraphs)).toEqual([expect.stringContaining(fault)]);
  });
});

describe('the check of a run', () => {
  const named = [{ file: 'test/keys.spec.ts', titles: ['a key', 'works for %s'] }];
  const run = (...tests: [title: string, status: string][]) => [
    {
      file: 'test/keys.spec.ts',
      tests: tests.map(([title, status]) => ({ ancestorTitles: ['a key'], title, status })),
    },
  ];
  const name = 'test/keys.spec.ts › a key › works for %s';

  it('accepts tests that ran, with any result, and files that were not part of the run', () => {
    expect(faultsOfRun(named, run(['works for 1', 'passed'], ['works for 2', 'failed']), new Set())).toEqual([]);
    expect(faultsOfRun(named, [], new Set())).toEqual([]);
  });

  it('finds skipped and renamed tests', () => {
    const skipped = run(['works for 1', 'passed'], ['works for 2', 'pending']);
    expect(faultsOfRun(named, skipped, new Set())).toEqual([`did not run: ${name}`]);
    expect(faultsOfRun(named, run(['works with 1', 'passed']), new Set())).toEqual([`does not exist: ${name}`]);
  });

  it('accepts skipped tests that the list of left-out tests has', () => {
    const leftOut = new Set(['test/keys.spec.ts']);
    expect(faultsOfRun(named, run(['works for 1', 'pending']), leftOut)).toEqual([]);
    expect(faultsOfRun(named, run(['works with 1', 'pending']), leftOut)).toEqual([`does not exist: ${name}`]);
  });
});
