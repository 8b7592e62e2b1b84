/** Longer input is not a typing error, and takes longer to compare. */
const LONGEST = 100;

/** Counts letters that were omitted, added, replaced, or swapped with their neighbour (optimal string alignment). */
export function slipsBetween(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped =
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? rows[i - 2]![j - 2]! + 1 : Infinity;
      row[j] = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, replaced, swapped);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

/** The name that was most likely meant, if one is close enough. */
export function nearestName(given: string, names: readonly string[]): string | undefined {
  if (given.length > LONGEST) return undefined;
  const plain = given.toLowerCase();
  const slips = (name: string) =>
    isBeginning(plain, name.toLowerCase()) ? 1 : slipsBetween(plain, name.toLowerCase());
  const [nearest] = names.map((name) => ({ name, slips: slips(name) })).toSorted((a, b) => a.slips - b.slips);
  return nearest && nearest.slips <= Math.max(2, nearest.name.length / 2) ? nearest.name : undefined;
}

/** `project_id` and `project`, in either order. */
function isBeginning(a: string, b: string): boolean {
  return Math.min(a.length, b.length) >= 4 && (a.startsWith(b) || b.startsWith(a));
}

/** `; did you mean scope?`, or an empty string. */
export function suggestion(given: string, names: readonly string[]): string {
  const name = nearestName(given, names);
  return name === undefined ? '' : `; did you mean ${name}?`;
}
