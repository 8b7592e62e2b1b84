import { escaped, type Guide } from './guide.ts';

export interface Assets {
  readonly script: string;
  readonly style: string;
}

/** The page of a guide. It works without its program, which adds the search, the choice of colours and copying. */
export function pageOf(guide: Guide, all: readonly Guide[], { script, style }: Assets): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>${escaped(guide.title)} · Keyledger guides</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="${style}" />
    <script type="module" src="${script}"></script>
  </head>
  <body>
    <a class="skip" href="#content">Skip to the content</a>
    <header>
      <a class="home" href="/docs/">Keyledger guides</a>
      <search><input id="search" type="search" aria-label="Search the guides" placeholder="Search" autocomplete="off" /></search>
      <a href="/">Dashboard</a>
      <button id="scheme" type="button" hidden></button>
      <section id="found" aria-label="Found" aria-live="polite" hidden></section>
    </header>
    <div class="columns">
      <nav aria-label="Guides">${navigation(guide, all)}</nav>
      <main id="content" tabindex="-1">
${guide.html}
      </main>
    </div>
  </body>
</html>
`;
}

function navigation(current: Guide, all: readonly Guide[]): string {
  const groups = Map.groupBy(all, ({ group }) => group);
  const link = ({ path, title }: Guide) =>
    `<li><a href="/docs/${path}"${path === current.path ? ' aria-current="page"' : ''}>${escaped(title)}</a></li>`;
  const lists = [...groups].map(
    ([group, guides]) => `<p>${group}</p><ul>${guides.map(link).join('')}${group === 'HTTP API' ? REFERENCE : ''}</ul>`,
  );
  return lists.join('');
}

const REFERENCE = '<li><a href="/docs/api">API reference</a></li>';
