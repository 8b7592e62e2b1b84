const compact = new Intl.NumberFormat(undefined, { notation: 'compact' });

/** Where there is room for a few characters: `146K`. */
export function inShort(number: number): string {
  return compact.format(number);
}
