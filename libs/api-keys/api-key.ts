import { keyTextNames, mapKeyTexts, type KeyTextName, type KeyTexts } from '#libs/contract/api-key-texts.js';

/** What events and lists state about a key. */

/** What every event of a key that is limited to a project tells besides. */
export function aboutProject({ projectId }: { readonly projectId?: string | null }) {
  return projectId ? { project_id: projectId } : {};
}

/** How every secret of a key begins, told from how the present one is shown: with 6 characters of it. */
export function prefixOfTokens({ prefix }: { readonly prefix: string }): string {
  return prefix.replace(/_[0-9A-Za-z]{6}$/, '');
}

/** The entity's property of a text: `external_id` is `externalId`. */
type Property<Name extends string> = Name extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Tail>}` : Name;
type TextColumns = { readonly [Name in KeyTextName as Property<Name>]?: string | null };

function propertyOf(name: KeyTextName): keyof TextColumns {
  return name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()) as keyof TextColumns;
}

/** The texts of a key, by their names in the API. */
export function textsOf(apiKey: TextColumns): KeyTexts {
  return mapKeyTexts((name) => apiKey[propertyOf(name)] ?? null);
}

/** The same the other way, for those that are named: a text that is left out is null. */
export function textColumns(texts: Partial<KeyTexts>, names: readonly KeyTextName[] = keyTextNames): TextColumns {
  return Object.fromEntries(names.map((name) => [propertyOf(name), texts[name] ?? null]));
}
