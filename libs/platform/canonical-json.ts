/**
 * One text for everything that says the same: members by name, those without a value left out, and no blanks, as in
 * RFC 8785. A list is the set of its items: no body of ours has a list whose order means anything.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${[...new Set(value.map(canonicalJson))].toSorted().join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .map(([name, inner]) => `${JSON.stringify(name)}:${canonicalJson(inner)}`);
  return `{${members.toSorted().join(',')}}`;
}
