import { ApiError } from '#libs/client/client.js';
import type { FieldError } from '#libs/contract/problem.js';

/** Converts the field errors of an API response for `form.setErrors`: `body.scopes[0]` becomes `scopes.0`. */
export function fieldErrors(error: unknown): Record<string, string> {
  if (!(error instanceof ApiError)) return {};
  return Object.fromEntries(
    (error.problem.errors ?? []).map((one) => [
      one.location.replace(/^body\./, '').replace(/\[(\d+)\]/g, '.$1'),
      fieldSentence(one),
    ]),
  );
}

/** `body.new_password` and `is too easy to guess` become `New password is too easy to guess`. */
export function fieldSentence({ location, message }: FieldError): string {
  if (!/^(must|is|has|have|does|needs|may|cannot) /.test(message)) return message;
  const label = location
    .replace(/^\w+\./, '')
    .replace(/\[(\d+)\]/g, (_whole, index: string) => ` ${Number(index) + 1}`)
    .replaceAll(/[._]/g, ' ')
    .replace(/\bips\b/, 'IP addresses');
  return `${label[0]!.toUpperCase()}${label.slice(1)} ${message}`;
}
