/*
 * For each sentence of the published documents, docs/sources.md names the test that proves it. This module checks these
 * names against the test files (test/docs/sources.spec.ts) and against a run (documented-tests-reporter.mjs).
 */

/** A sentence that promises something, as the list quotes it. */
export interface Sentence {
  readonly line: number;
  /** The path of the document that its section links to. */
  readonly document: string | undefined;
  readonly quote: string;
  readonly response: string;
  readonly tests: readonly NamedTest[];
}

/** A test as its file names it, with `%s` where `it.each` inserts a value. */
export interface NamedTest {
  readonly file: string;
  /** The title of each `describe` around it, and its own. */
  readonly titles: readonly string[];
}

const ITEM = /^- /;
const DOCUMENT = /\]\(\.\.\/(test\/sources\/[^)]+\.(?:md|txt))\)/;
const TEST = /^Test: `(?<file>\S+\.spec\.ts) › (?<titles>.+)`$/;

/** An item is a quotation, our response and the tests, a paragraph each: `` Test: `<file> › <describe> › <it>` ``. */
export function sentencesOf(markdown: string): Sentence[] {
  let line = 1;
  const sentences: Sentence[] = [];
  for (const section of markdown.split(/^(?=## )/m)) {
    const document = DOCUMENT.exec(section)?.[1];
    for (const item of section.split(/^(?=- |#)/m)) {
      if (ITEM.test(item)) sentences.push({ line, document, ...parseItem(item) });
      line += item.split('\n').length - 1;
    }
  }
  return sentences;
}

function parseItem(item: string): Omit<Sentence, 'line' | 'document'> {
  const [quote = '', ...rest] = item
    .slice('- '.length)
    .split(/\n\s*\n/)
    .map(plain);
  const tests = rest.filter((paragraph) => paragraph.startsWith('Test: '));
  return {
    quote: /^"(.*)"$/.exec(quote)?.[1] ?? '',
    response: rest.filter((paragraph) => paragraph !== '' && !tests.includes(paragraph)).join('\n'),
    tests: tests.flatMap((paragraph) => {
      const { groups } = TEST.exec(paragraph) ?? {};
      return groups ? [{ file: groups['file']!, titles: groups['titles']!.split(' › ') }] : [];
    }),
  };
}

/** The text as a reader sees it: on one line, without the escapes of Markdown. */
function plain(markdown: string): string {
  return collapse(markdown.replace(/\\(?=[!-/:-@[-`{-~])/g, ''));
}

function collapse(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

/** The faults of a sentence according to the files; `read` returns undefined for a file that does not exist. */
export function faultsOf(sentence: Sentence, read: (path: string) => string | undefined): string[] {
  const { document, quote, response, tests } = sentence;
  const faults: string[] = [];
  const text = document && read(document);
  if (!quote || !text || !collapse(text).includes(quote)) faults.push('is not in its document, word for word');
  if (!response) faults.push('has no response');
  if (tests.length === 0) faults.push('has no test');
  for (const { file, titles } of tests) {
    const source = read(file);
    if (source === undefined) faults.push(`names ${file}, which does not exist`);
    else if (!titles.every((title) => isTitleIn(source, title))) {
      faults.push(`names a test that does not exist: ${[file, ...titles].join(' › ')}`);
    }
  }
  return faults;
}

function isTitleIn(source: string, title: string): boolean {
  return [`'${title}',`, `"${title}",`, `\`${title}\`,`].some((literal) => source.includes(literal));
}

/** Jest's results for a file; `file` is its path in the repository. */
export interface RunOfFile {
  readonly file: string;
  readonly tests: readonly {
    readonly ancestorTitles: readonly string[];
    readonly title: string;
    readonly status: string;
  }[];
}

/**
 * The faults of the named tests according to a run. Files that were not part of the run are not checked.
 * @param leftOut files that could not test everything on this machine and have reported it already
 */
export function faultsOfRun(
  named: readonly NamedTest[],
  run: readonly RunOfFile[],
  leftOut: ReadonlySet<string>,
): string[] {
  const files = new Map(run.map((file) => [file.file, file.tests]));
  return named.flatMap(({ file, titles }) => {
    const tests = files.get(file);
    if (!tests) return [];
    const name = [file, ...titles].join(' › ');
    const patterns = titles.map(patternOf);
    const found = tests.filter(({ ancestorTitles, title }) => {
      const path = [...ancestorTitles, title];
      return path.length === patterns.length && patterns.every((pattern, depth) => pattern.test(path[depth]!));
    });
    if (found.length === 0) return [`does not exist: ${name}`];
    const ran = found.every(({ status }) => status === 'passed' || status === 'failed');
    return ran || leftOut.has(file) ? [] : [`did not run: ${name}`];
  });
}

/** `it.each` replaces `%s` and the like, and `$name`. */
function patternOf(title: string): RegExp {
  const [first, ...rest] = title
    .split(/%[psdifjo#$]|\$[\w.]+/)
    .map((part) => part.replace(/[.*+?^${}()[\]|\\]/g, String.raw`\$&`));
  return new RegExp(`^${[first, ...rest].join('.*')}$`, 's');
}
