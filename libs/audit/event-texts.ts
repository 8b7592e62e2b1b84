import type { EventEnvelope } from '#libs/contract/events.js';

/** Whether a text has the other one, in any case. @param wanted in lower case */
export function includesText(text: unknown, wanted: string): boolean {
  return typeof text === 'string' && text.toLowerCase().includes(wanted);
}

/**
 * Whether a value of the event has the text, in any case. Names of fields do not count.
 * @param wanted in lower case
 */
export function hasText({ type, subject, id, time, data }: EventEnvelope, wanted: string): boolean {
  return [type, subject, id, time, data].some((value) => isIn(value, wanted));
}

function isIn(value: unknown, wanted: string): boolean {
  if (typeof value === 'string') return includesText(value, wanted);
  if (typeof value === 'number') return String(value).includes(wanted);
  return typeof value === 'object' && value !== null && Object.values(value).some((one) => isIn(one, wanted));
}

/**
 * Tells from the bytes of an entry whether it may have the text, in any case. Parsing an entry takes several times as
 * long.
 */
export function mayHaveText(text: string): (entry: string) => boolean {
  // As JSON writes the text.
  const written = JSON.stringify(text.toLowerCase()).slice(1, -1);
  return (entry) => entry.toLowerCase().includes(written);
}
