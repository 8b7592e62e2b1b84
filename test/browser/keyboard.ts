import type { Page } from 'playwright-core';

/** So many presses of Tab are sent before the page is asked how far they led. */
const BATCH = 20;

/**
 * Presses Tab from the beginning of an element to its end. Returns what a user of the keyboard cannot reach in the order of
 * the page, what keeps the focus, and where the focus cannot be seen, also in the forced colours of a system.
 */
export async function keyboardFaults(page: Page, within: string): Promise<string[]> {
  const expected = await page.evaluate<number>(`(${BEGIN})(${JSON.stringify(within)})`);
  for (let presses = 0; presses < 2 * expected + 3 * BATCH; presses += BATCH) {
    for (let press = 0; press < BATCH; press++) await page.keyboard.press('Tab');
    if (await page.evaluate<boolean>('keyboardWalk.hasEnded()')) break;
  }
  const faults = await page.evaluate<string[]>('keyboardWalk.faults()');
  await page.emulateMedia({ forcedColors: 'active' });
  faults.push(...(await page.evaluate<string[]>('keyboardWalk.faultsOfForcedColours()')));
  await page.emulateMedia({ forcedColors: null });
  await page.evaluate('document.activeElement.blur()');
  return faults;
}

const BEGIN = `(within) => {
  const root = document.querySelector(within);
  const name = (element) => element.outerHTML.replace(/ (class|style|id)="[^"]*"/g, '').slice(0, 160);
  const isChosen = (radio) => radio.checked || radio.type !== 'radio';
  const isReached = (element) => element.tabIndex >= 0 && !element.disabled && isChosen(element) &&
    element.type !== 'hidden' && element.checkVisibility({ visibilityProperty: true });
  const expected = [...root.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')]
    .filter(isReached);

  // A ring or another sign may be on the element, on what is drawn in its place, or around it.
  const look = (element) => [element, element.nextElementSibling, element.parentElement, element.parentElement.parentElement]
    .filter(Boolean)
    .flatMap((part) => [undefined, '::after'].map((pseudo) => {
      const style = getComputedStyle(part, pseudo);
      const outline = style.outlineStyle !== 'none' && [style.outlineWidth, style.outlineColor];
      return [outline, style.boxShadow, style.borderColor, style.backgroundColor, style.color, style.top, style.fontWeight,
        style.opacity, style.transform].join();
    }))
    .join();
  const blurred = new Map(expected.map((element) => [element, look(element)]));

  const visited = new Set();
  const unseen = [];
  let hasEnded = false;
  document.activeElement.blur();
  root.focus();
  document.addEventListener('focusin', ({ target }) => {
    hasEnded ||= !root.contains(target) || (visited.size > 1 && target === [...visited][0]);
    visited.add(target);
    if (!hasEnded && blurred.get(target) === look(target)) unseen.push('the focus is invisible: ' + name(target));
  });

  const MARKED = '[aria-selected="true"], [aria-pressed="true"], label[data-active], [data-status="active"], input:checked';
  const marks = () => [...document.querySelectorAll(MARKED)].flatMap((marked) => {
    const group = marked.closest('[role="radiogroup"], [role="tablist"], nav');
    const other = group && [...group.querySelectorAll(marked.tagName)]
      .find((element) => element.className === marked.className && !element.matches(MARKED));
    return other && look(other) === look(marked) ? ['the mark is invisible in forced colours: ' + name(marked)] : [];
  });

  globalThis.keyboardWalk = {
    hasEnded: () => hasEnded || document.activeElement === document.body,
    faults: () => {
      const still = expected.filter((element) => element.isConnected);
      const reached = [...visited].filter((element) => still.includes(element));
      return [
        ...(keyboardWalk.hasEnded() ? [] : ['the focus stays at ' + name(document.activeElement)]),
        ...still.filter((element) => !visited.has(element)).map((element) => 'not reached: ' + name(element)),
        ...reached.filter((element, at) => still.indexOf(element) < still.indexOf(reached[at - 1]))
          .map((element) => 'not in the order of the page: ' + name(element)),
        ...unseen,
      ];
    },
    faultsOfForcedColours: () => {
      document.activeElement.blur();
      const looks = expected.filter((element) => element.isConnected).map((element) => [element, look(element)]);
      return [
        ...looks.flatMap(([element, before]) => {
          element.focus({ focusVisible: true, preventScroll: true });
          return before === look(element) ? ['the focus is invisible in forced colours: ' + name(element)] : [];
        }),
        ...marks(),
      ];
    },
  };
  return expected.length;
}`;
