/**
 * The texts of the dashboard are in English, and so are its dates and numbers: in the English of the user's region if
 * the browser names one.
 */
const LOCALE = navigator.languages.find((tag) => /^en\b/.test(tag)) ?? 'en-GB';

/** The only way to format times, so that all of them are in the language of the texts around them. */
export function timeFormat(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat(LOCALE, options);
}

const digits = new Intl.NumberFormat(LOCALE);
const compact = new Intl.NumberFormat(LOCALE, { notation: 'compact', maximumSignificantDigits: 3 });
const percent = new Intl.NumberFormat(LOCALE, {
  style: 'percent',
  maximumFractionDigits: 0,
  signDisplay: 'exceptZero',
});
const relative = new Intl.RelativeTimeFormat(LOCALE, { numeric: 'auto' });
const list = new Intl.ListFormat(LOCALE);

/** All digits, in groups: `146,203`. */
export function inDigits(count: number): string {
  return digits.format(count);
}

/** A short form for narrow places: `146K`. Three digits, so that 350, 700 and 1.05K on an axis are evenly spaced. */
export function inShort(count: number): string {
  return compact.format(count);
}

/** A number with what it counts, in singular or plural: `1 key`, `2,000 keys`. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${inDigits(count)} ${count === 1 ? noun : plural}`;
}

/** A change: `+12%`. */
export function inPercent(share: number): string {
  return percent.format(share);
}

/** `10 minutes ago`, `in 3 days`. */
export function fromNow(count: number, unit: Intl.RelativeTimeFormatUnit): string {
  return relative.format(count, unit);
}

/** `a, b and c`. */
export function listed(items: readonly string[]): string {
  return list.format(items);
}

/** A sentence within another one. */
export function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
