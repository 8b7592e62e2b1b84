/** What events and lists state about a key. */

/** What every event of a key that is limited to a project tells besides. */
export function aboutProject({ projectId }: { readonly projectId?: string | null }) {
  return projectId ? { project_id: projectId } : {};
}

/** How every secret of a key begins, told from how the present one is shown: with 6 characters of it. */
export function prefixOfTokens({ prefix }: { readonly prefix: string }): string {
  return prefix.replace(/_[0-9A-Za-z]{6}$/, '');
}
