import { Marked, type Tokens } from 'marked';

/** A part of a guide that the search finds. */
export interface Section {
  readonly id: string;
  readonly guide: string;
  readonly title: string;
  readonly text: string;
}

export interface Guide {
  /** Below `/docs/`. */
  readonly path: string;
  readonly group: string;
  readonly title: string;
  readonly html: string;
  readonly sections: readonly Section[];
}

const START = 'Start';
const API = 'HTTP API';
const OPERATION = 'Operation';

/** The guides in the order in which they are listed, by their files in `docs`. */
const listed: readonly (readonly [name: string, group: string, path: string])[] = [
  ['api/getting-started.md', START, ''],
  ['gateways.md', START, 'gateways'],
  ['api/verification.md', START, 'api/verification'],
  ['cli.md', START, 'cli'],
  ['api.md', API, 'http-api'],
  ['audit.md', OPERATION, 'audit'],
  ['operations.md', OPERATION, 'operations'],
  ['security-model.md', OPERATION, 'security-model'],
  ['glossary.md', OPERATION, 'glossary'],
];

/** @param apiGuides the files of `docs/api` */
export function guideNames(apiGuides: readonly string[]): string[] {
  const before = listed.map(([name]) => name);
  const at = before.indexOf('api.md') + 1;
  return before.toSpliced(at, 0, ...apiGuides.filter((name) => !before.includes(name)).toSorted());
}

/** Where a file of `docs` is served, below `/docs/`. Undefined if it is not a guide. */
function pathOf(name: string): string | undefined {
  const [, , path] = listed.find(([file]) => file === name) ?? [];
  return path ?? /^(api\/[\w-]+)\.md$/.exec(name)?.[1];
}

export function readGuide(name: string, markdown: string): Guide {
  const path = pathOf(name)!;
  const sections: { id: string; title: string; text: string[] }[] = [];
  const slugs = new Map<string, number>();
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth }: Tokens.Heading) {
        const title = this.parser.parseInline(tokens, this.parser.textRenderer);
        const slug = unique(slugOf(title), slugs);
        sections.push({ id: slug, title: decoded(title), text: [] });
        return `<h${depth} id="${slug}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
      },
      link({ href, tokens }: Tokens.Link) {
        const target = targetOf(href, name);
        const text = this.parser.parseInline(tokens);
        return target === undefined ? text : `<a href="${target}">${text}</a>`;
      },
      code({ text, lang }: Tokens.Code) {
        return `<pre tabindex="0" data-language="${lang ?? ''}"><code>${escaped(text)}</code></pre>\n`;
      },
    },
    walkTokens({ type, raw }) {
      if (['paragraph', 'list', 'table', 'code'].includes(type)) sections.at(-1)?.text.push(raw);
    },
  });
  // The texts of sections are gathered in the order of the document: first its headings, then what is below each.
  const html = renderInOrder(marked, markdown);
  const title = sections[0]?.title ?? name;
  return {
    path,
    group: listed.find(([file]) => file === name)?.[1] ?? API,
    title,
    html: html
      .replaceAll('<th></th>', '<td></td>')
      .replaceAll('<table>', '<div class="table" tabindex="0"><table>')
      .replaceAll('</table>', '</table></div>'),
    sections: sections.map((section) => ({
      id: `/docs/${path}#${section.id}`,
      guide: title,
      title: section.title,
      text: plain(section.text.join(' ')),
    })),
  };
}

/** Renders one top-level token after the other, so that each text is walked after the heading above it. */
function renderInOrder(marked: Marked, markdown: string): string {
  const tokens = marked.lexer(markdown);
  return tokens
    .map((token) => {
      const html = marked.parser([token]);
      if (token.type !== 'heading') void marked.walkTokens([token], marked.defaults.walkTokens!);
      return html;
    })
    .join('');
}

/** An address on this server for a link between documents; undefined for what only the repository has. */
function targetOf(href: string, from: string): string | undefined {
  if (/^(https?:|#)/.test(href)) return href;
  const { pathname, hash } = new URL(href, `https://docs/${from}`);
  const path = pathOf(pathname.slice(1));
  return path === undefined ? undefined : `/docs/${path}${hash}`;
}

/** As GitHub makes it, so that the links of the documents work in both places. */
function slugOf(title: string): string {
  return decoded(title)
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

function unique(slug: string, slugs: Map<string, number>): string {
  const count = slugs.get(slug) ?? 0;
  slugs.set(slug, count + 1);
  return count === 0 ? slug : `${slug}-${count}`;
}

function plain(markdown: string): string {
  return markdown
    .replaceAll(/\]\([^\s()]*\)/g, '')
    .replaceAll(/[`*|#[\]]|-{3,}/g, '')
    .replaceAll(/\s+/g, ' ');
}

const entities = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'" } as const;

function decoded(text: string): string {
  return text.replaceAll(/&(?:amp|lt|gt|quot|#39);/g, (entity) => entities[entity as keyof typeof entities]);
}

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
