import type { Page } from 'playwright-core';

const RECORDER = `(() => {
  const seen = (window.seenTexts = new Set());
  const record = () => document.body?.innerText.split('\\n').forEach((line) => seen.add(line.trim()));
  new MutationObserver(record).observe(document, { subtree: true, childList: true, characterData: true });
})()`;

/** Records every line of text that the page shows from its next load on, also a line that it shows for one frame. */
export async function recordTexts(page: Page): Promise<void> {
  await page.addInitScript(RECORDER);
}

/** The lines that the page showed since its load. */
export function seenTexts(page: Page): Promise<string[]> {
  return page.evaluate<string[]>('[...window.seenTexts]');
}

/**
 * Keeps the page waiting for the responses to these requests.
 * @returns lets them through
 */
export async function holdResponses(page: Page, url: RegExp): Promise<() => Promise<void>> {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  await page.route(url, async (route) => {
    await released;
    await route.fallback();
  });
  return async () => {
    release();
    await page.unroute(url);
  };
}
