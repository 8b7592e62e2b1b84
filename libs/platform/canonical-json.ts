/**
 * One text for all equivalent values: members sorted by name, members without a value left out, no blanks, as in RFC
 * 8785. Lists are treated as sets: no body of ours has a list whose order matters.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${[...new Set(value.map(canonicalJson))].toSorted().join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .map(([name, inner]) => `${JSON.stringify(name)}:${canonicalJson(inner)}`);
  return `{${members.toSorted().join(',')}}`;
}
