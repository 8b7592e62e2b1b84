/**
 * Shows a text that ends in an ellipsis whole while the pointer is over it. Which texts are too long depends on the
 * width of the window, so this looks when it matters, for every element of every page.
 */
export function showShortenedTexts(): void {
  document.addEventListener('pointerover', ({ target }) => {
    for (let element = target; element instanceof HTMLElement; element = element.parentElement) {
      if (element.title) return;
      if (isShortened(element)) {
        element.title = element instanceof HTMLInputElement ? element.value : element.innerText;
        element.addEventListener(
          'pointerleave',
          ({ currentTarget }) => (currentTarget as Element).removeAttribute('title'),
          {
            once: true,
          },
        );
        return;
      }
    }
  });
}

function isShortened(element: HTMLElement): boolean {
  const isCut = element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight;
  if (!isCut || element.clientWidth === 0) return false;
  const { textOverflow, webkitLineClamp } = getComputedStyle(element);
  return textOverflow === 'ellipsis' || webkitLineClamp !== 'none';
}
