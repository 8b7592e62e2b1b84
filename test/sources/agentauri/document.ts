/** A fenced block of a Markdown document, with the heading that it stands under. */
export interface Block {
  readonly heading: string;
  readonly language: string;
  readonly text: string;
}

export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let heading = '';
  const parts = /^#+ (?<heading>.+)$|^```(?<language>\w*)\n(?<text>[\s\S]*?)^```$/gm;
  for (const { groups } of markdown.matchAll(parts)) {
    if (groups?.['heading']) heading = groups['heading'];
    else blocks.push({ heading, language: groups!['language']!, text: groups!['text']! });
  }
  return blocks;
}

/** The items of the list under a heading. */
export function listUnder(markdown: string, heading: string): string[] {
  const [section = ''] = markdown.split(new RegExp(`^#+ ${heading}$`, 'm'))[1]?.split(/^#/m) ?? [];
  return [...section.matchAll(/^- (.+)$/gm)].map(([, item]) => item!);
}

/** The kinds of a value's parts: a documented answer and a real one differ in values, not in this. */
export function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf);
  if (value === null) return 'null';
  if (typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, shapeOf(v)]));
  if (typeof value !== 'string') return typeof value;
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value)) return 'instant';
  return /^(key|org|sk_test|sk_live)_/.exec(value)?.[0] ?? 'string';
}
