import { keyTextNames, mapKeyTexts, type KeyTextName, type KeyTexts } from '#libs/contract/api-key-texts.js';
import type { ApiKey } from './api-key.entity.js';

/** Additional fields of every event of a key that is limited to a project. */
export function aboutProject({ projectId }: { readonly projectId?: string | null }) {
  return projectId ? { project_id: projectId } : {};
}

/**
 * The beginning of every secret that Keyledger makes for a key. `prefix` shows 6 random characters of the current secret
 * besides. The prefix of an imported secret is that of another system.
 */
export function prefixOfTokens({
  prefix,
  imported,
  environment,
}: Pick<ApiKey, 'prefix' | 'imported' | 'environment'>): string {
  return imported ? `sk_${environment}` : prefix.replace(/_[0-9A-Za-z]{6}$/, '');
}

/** The property of the entity for a text: `externalId` for `external_id`. */
type Property<Name extends string> = Name extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Tail>}` : Name;
type TextColumns = { readonly [Name in KeyTextName as Property<Name>]?: string | null };

function propertyOf(name: KeyTextName): keyof TextColumns {
  return name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()) as keyof TextColumns;
}

/** The texts of a key, by their names in the API. */
export function textsOf(apiKey: TextColumns): KeyTexts {
  return mapKeyTexts((name) => apiKey[propertyOf(name)] ?? null);
}

/** The columns of the named texts. A missing text is null. */
export function textColumns(texts: Partial<KeyTexts>, names: readonly KeyTextName[] = keyTextNames): TextColumns {
  return Object.fromEntries(names.map((name) => [propertyOf(name), texts[name] ?? null]));
}
