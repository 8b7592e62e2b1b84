const compact = new Intl.NumberFormat(undefined, { notation: 'compact' });

/** A short form for narrow places: `146K`. */
export function inShort(number: number): string {
  return compact.format(number);
}
