import { Option } from 'commander';
import { keyTexts, type KeyTextName } from '#libs/contract/api-key-texts.js';

/** The option that sets a text of a key: `--external-id` for `external_id`. */
export function textOption(name: KeyTextName): Option {
  const { hint, maxLength } = keyTexts[name];
  const description = `${hint.charAt(0).toLowerCase()}${hint.slice(1)}; up to ${maxLength} characters`;
  return new Option(`--${name.replaceAll('_', '-')} <TEXT>`, description);
}

/** The option that removes it: `--no-external-id`. An empty text is refused, because an unset variable of a script leaves one. */
export function noTextOption(name: KeyTextName): Option {
  return new Option(`--no-${name.replaceAll('_', '-')}`, 'remove it');
}
