import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A command, a response or a script in a document. */
export interface Block {
  readonly language: string;
  readonly text: string;
}

/** A fenced block of a Markdown document, with the heading above it. */
export interface FencedBlock extends Block {
  readonly heading: string;
}

/** Reads the copy of a document below this folder. */
export function readDocument(path: string): Promise<string> {
  return readFile(join(import.meta.dirname, path), 'utf8');
}

export function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export function fencedBlocksOf(markdown: string): FencedBlock[] {
  const blocks: FencedBlock[] = [];
  let heading = '';
  const parts = /^#+ (?<heading>.+)$|^```(?<language>\w*)\n(?<text>[\s\S]*?)^```$/gm;
  for (const { groups } of markdown.matchAll(parts)) {
    if (groups?.['heading']) heading = groups['heading'];
    else blocks.push({ heading, language: groups!['language']!, text: groups!['text']! });
  }
  return blocks;
}

/**
 * The blocks of a document that was published without fences, in order: curl commands as far as a shell reads them (to
 * the end of a line, outside of quotes and without a backslash before it), and JSON objects.
 */
export function plainBlocksOf(text: string): Block[] {
  const parts = /^(?<bash>curl (?:\\[\s\S]|'[^']*'|"(?:\\[\s\S]|[^"\\])*"|[^\n'"\\])*)$|^(?<json>\{\n[\s\S]*?^\})$/gm;
  return [...text.matchAll(parts)].map(({ groups }) =>
    groups!['bash'] ? { language: 'bash', text: groups!['bash'] } : { language: 'json', text: groups!['json']! },
  );
}

/** The items of the list under a heading. */
export function listUnder(markdown: string, heading: string): string[] {
  const [section = ''] = markdown.split(new RegExp(`^#+ ${heading}$`, 'm'))[1]?.split(/^#/m) ?? [];
  return [...section.matchAll(/^- (.+)$/gm)].map(([, item]) => item!);
}

/** The items of the list directly below a line, in a document that was published without its Markdown marks. */
export function plainListUnder(text: string, line: string): string[] {
  const [, rest = ''] = text.split(`\n${line}\n`);
  return [.../^(- .+\n)*/.exec(rest)![0].matchAll(/^- (.+)$/gm)].map(([, item]) => item!);
}

/** A text that a document prints, and the text that replaces it in a run. Undefined means no replacement. */
export type Replacements = readonly (readonly [printed: string, real: string | undefined])[];

export function replaced(text: string, replacements: Replacements): string {
  return replacements.reduce(
    (text, [printed, real]) => (real === undefined ? text : text.replaceAll(printed, real)),
    text,
  );
}

/** The kinds of a value's parts. A documented response and a real one have different values but the same shape. */
export function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf);
  if (value === null) return 'null';
  if (typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, shapeOf(v)]));
  if (typeof value !== 'string') return typeof value;
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value)) return 'instant';
  return /^(key|org|proj|sk_test|sk_live|cagi|agk_live)_/.exec(value)?.[0] ?? 'string';
}
