import { cut } from '../text.js';

/** Longer names are cut: they come from the caller and are repeated to show a location. */
const MAX_NAME = 60;

/** A location in a request, such as `body.scopes[0]`. */
export function locate(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    const name = cut(String(step), MAX_NAME);
    return text ? `${text}.${name}` : name;
  }, '');
}
