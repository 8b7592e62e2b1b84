import { eastAsianWidth } from 'get-east-asian-width';

/** Control characters, line separators, and characters that change the direction of writing. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
const ASCII = /^[\x20-\x7e]*$/;
const EMOJI = /^\p{RGI_Emoji}$/v;
const INVISIBLE = /^[\p{M}\p{Cf}]+$/u;

/** Created on first use, which takes 60 ms. */
let graphemes: Intl.Segmenter | undefined;

/** Names and paths come from other people: they must not control the terminal or fake another line. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, '\ufffd');
}

/** An object whose name is not enough to tell it from others. */
export function named({ id, name }: { readonly id: string; readonly name: string }): string {
  return `${id} (${printable(name)})`;
}

/** The number of terminal columns that a printable text takes. */
export function widthOf(text: string): number {
  if (ASCII.test(text)) return text.length;
  return charactersOf(text).reduce((sum, character) => sum + characterWidth(character), 0);
}

/** Cuts the text to a width; the last character then shows that it was cut. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let result = '';
  let left = width - 1;
  for (const character of charactersOf(text)) {
    left -= characterWidth(character);
    if (left < 0) break;
    result += character;
  }
  return `${result}…`;
}

function charactersOf(text: string): string[] {
  graphemes ??= new Intl.Segmenter();
  return Array.from(graphemes.segment(text), ({ segment }) => segment);
}

function characterWidth(character: string): number {
  if (INVISIBLE.test(character)) return 0;
  return EMOJI.test(character) ? 2 : eastAsianWidth(character.codePointAt(0)!);
}

/** The time in the reader's time zone. */
export function localTime(iso: string | null, precision: 'minute' | 'second' = 'minute'): string {
  if (iso === null) return '-';
  const time = new Date(iso);
  const date = [time.getFullYear(), time.getMonth() + 1, time.getDate()].map(twoDigits).join('-');
  const clock = [time.getHours(), time.getMinutes(), ...(precision === 'second' ? [time.getSeconds()] : [])];
  return `${date} ${clock.map(twoDigits).join(':')}`;
}

function twoDigits(number: number): string {
  return String(number).padStart(2, '0');
}
