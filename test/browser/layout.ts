import type { Page } from 'playwright-core';

export interface Shift {
  /** The sum of what moved without an input (https://web.dev/articles/cls). */
  readonly sum: number;
  readonly what: readonly string[];
}

/** What moved in this document since it was loaded. */
export function shiftOf(page: Page): Promise<Shift> {
  return page.evaluate<Shift>(`(async () => {
    const all = await new Promise((resolve) => {
      const observer = new PerformanceObserver((list) => resolve(list.getEntries()));
      observer.observe({ type: 'layout-shift', buffered: true });
      // Without any shift, there is no call.
      setTimeout(() => resolve([]), 100);
    });
    const shifts = all.filter(({ hadRecentInput }) => !hadRecentInput);
    const nameOf = (node) => node?.nodeType === 1 ? node.outerHTML.slice(0, 100) : node?.textContent?.slice(0, 60);
    const rect = ({ x, y, width, height }) => [x, y, width, height].map(Math.round).join(' ');
    return {
      sum: shifts.reduce((sum, { value }) => sum + value, 0),
      what: shifts.flatMap(({ value, sources }) => [
        value.toFixed(3),
        ...sources.map(({ node, previousRect, currentRect }) =>
          \`  \${rect(previousRect)} → \${rect(currentRect)}: \${nameOf(node)}\`),
      ]),
    };
  })()`);
}

/**
 * Every text that a user cannot read whole: it sticks out of the page or of an element that hides what sticks out. Names
 * may end in an ellipsis, because the dashboard shows them whole under the pointer. Times, labels and buttons may not.
 * Also every number that is broken over two lines.
 */
export function cutTexts(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(CUT_TEXTS);
}

const CUT_TEXTS = `(() => {
  const found = new Set();
  const hides = (value) => value === 'hidden' || value === 'clip';
  const scrolls = (value) => value === 'auto' || value === 'scroll';
  const forReadersOnly = (style) => style.clipPath !== 'none' || style.clip !== 'auto';
  const neverShort = 'time, .mantine-Button-label, .mantine-Badge-root, .mantine-SegmentedControl-label, [role=tab], th, label, h1, h2, h3, dt';
  const describe = (element, text, how) =>
    found.add(\`\${how}: "\${text.trim().slice(0, 60)}" in \${element.tagName.toLowerCase()}.\${element.className}\`);
  const width = document.documentElement.clientWidth;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  nodes: for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.data.trim()) continue;
    const own = node.parentElement;
    if (!own.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    if (own.closest('svg, script, style, noscript, [data-may-be-cut]')) continue;
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (box.width < 1 || box.height < 1) continue;
    const lines = new Set([...range.getClientRects()].map(({ top }) => Math.round(top)));
    if (/^\\s*[+-]?\\d[\\d,.]*\\s*$/.test(node.data) && lines.size > 1) describe(own, node.data, 'broken');
    for (let element = own; element && element !== document.body; element = element.parentElement) {
      const style = getComputedStyle(element);
      if (forReadersOnly(style) || scrolls(style.overflowX)) continue nodes;
      if (!hides(style.overflowX) && !hides(style.overflowY)) continue;
      const frame = element.getBoundingClientRect();
      const isWide = hides(style.overflowX) && (box.right > frame.right + 1 || box.left < frame.left - 1);
      const isHigh = hides(style.overflowY) && (box.bottom > frame.bottom + 3 || box.top < frame.top - 3);
      if (!isWide && !isHigh) continue;
      const mayBeShort = style.textOverflow === 'ellipsis' || style.webkitLineClamp !== 'none';
      if (!mayBeShort) describe(own, node.data, 'cut');
      else if (own.closest(neverShort)) describe(own, node.data, 'shortened');
      continue nodes;
    }
    if (box.right > width + 1 || box.left < -1) describe(own, node.data, 'beside the page');
  }
  for (const icon of document.querySelectorAll('td button svg')) {
    const { width, right } = icon.getBoundingClientRect();
    if (width > 0 && right > icon.closest('td').getBoundingClientRect().right + 1)
      describe(icon.closest('button'), icon.closest('button').ariaLabel, 'a cut icon');
  }
  // An input with an ellipsis is never wider inside than outside, so the text is measured.
  const pen = document.createElement('canvas').getContext('2d');
  for (const input of document.querySelectorAll('input[placeholder]')) {
    if (input.value || !input.checkVisibility()) continue;
    const { fontWeight, fontSize, fontFamily, paddingLeft, paddingRight } = getComputedStyle(input);
    pen.font = [fontWeight, fontSize, fontFamily].join(' ');
    const room = input.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
    if (pen.measureText(input.placeholder).width > room + 1)
      describe(input, input.placeholder, 'a placeholder too long');
  }
  return [...found];
})()`;

/** Whether the page needs horizontal scrolling, and because of which elements. */
export function sticksOut(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(`(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth <= clientWidth) return [];
    const wide = [...document.querySelectorAll('body *')].filter((element) => {
      const { right, width } = element.getBoundingClientRect();
      return width > 0 && right > clientWidth + 1 && element.children.length === 0;
    });
    return [\`\${scrollWidth} px wide\`, ...wide.slice(0, 4).map(({ outerHTML }) => outerHTML.slice(0, 160))];
  })()`);
}

/** Every button of a dialog that cannot be clicked, because something else lies over its middle. */
export function coveredButtons(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(`[...document.querySelectorAll('[role="dialog"] button')]
    .filter((button) => {
      button.scrollIntoView({ block: 'nearest' });
      const { left, top, width, height } = button.getBoundingClientRect();
      return !button.contains(document.elementFromPoint(left + width / 2, top + height / 2));
    })
    .map((button) => button.ariaLabel ?? button.textContent)`);
}

export interface Contrast {
  /** How many secondary texts the page has. */
  readonly dimmed: number;
  /** Those that stay dimmed for a user who prefers more contrast. */
  readonly faint: readonly string[];
}

/** How the secondary texts of the page look to a user who prefers more contrast. */
export async function contrastOf(page: Page): Promise<Contrast> {
  await page.emulateMedia({ contrast: 'more' });
  const contrast = await page.evaluate<Contrast>(`(() => {
    const bright = document.createElement('span');
    bright.style.color = 'var(--mantine-color-bright)';
    document.body.append(bright);
    const { color } = getComputedStyle(bright);
    bright.remove();
    const dimmed = [...document.querySelectorAll('[style*="--mantine-color-dimmed"]')];
    const faint = dimmed.filter((element) => getComputedStyle(element).color !== color);
    return { dimmed: dimmed.length, faint: faint.map(({ outerHTML }) => 'faint: ' + outerHTML.slice(0, 100)) };
  })()`);
  await page.emulateMedia({ contrast: null });
  return contrast;
}
