interface KeyText {
  /** What forms call it. */
  readonly label: string;
  /** What it is for, in forms, in the help of the command line and in the API's description. */
  readonly hint: string;
  /** Characters. */
  readonly minLength: number;
  readonly maxLength: number;
  /** Whether a form shows several lines. */
  readonly multiline: boolean;
}

/**
 * The free texts of a key, by their names in the API. A text that is added here is validated, described, stored, recorded in
 * events and shown by the API, the dashboard and the command line. It also needs a property in
 * `libs/api-keys/api-key.entity.ts`, a column in the migrations, and `libs/database/schema.sql`, which the schema test
 * writes with `UPDATE_SCHEMA=1`. `docs/api/keys.md` and `docs/cli.md` list the texts. Verification does not return a text
 * by itself.
 */
export const keyTexts = {
  description: {
    label: 'Description',
    hint: 'What the key is for',
    minLength: 0,
    maxLength: 1_000,
    multiline: true,
  },
  external_id: {
    label: 'External id',
    hint: 'Your own id for the customer or system that has the key. Every verification returns it',
    minLength: 1,
    maxLength: 200,
    multiline: false,
  },
  owner_note: {
    label: 'Owner note',
    hint: 'A note for the people who manage the key. No verification returns it',
    minLength: 0,
    maxLength: 500,
    multiline: true,
  },
} as const satisfies Record<string, KeyText>;

export type KeyTextName = keyof typeof keyTexts;
export type KeyTexts = Record<KeyTextName, string | null>;

export const keyTextNames = Object.keys(keyTexts) as KeyTextName[];

/** One value for each text. */
export function mapKeyTexts<T>(map: (name: KeyTextName, text: KeyText) => T): Record<KeyTextName, T> {
  return Object.fromEntries(keyTextNames.map((name) => [name, map(name, keyTexts[name])])) as Record<KeyTextName, T>;
}
