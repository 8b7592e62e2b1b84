/** A measured value. */
export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** The goal for the value. Missing it fails nothing. */
  readonly goal?: { readonly atLeast: number } | { readonly atMost: number };
}

/** The results of a part. */
export interface Result {
  /** Further tables, by their titles. */
  readonly tables?: Readonly<Record<string, readonly Record<string, string | number>[]>>;
  /** The rows of a table. */
  readonly rows?: readonly Record<string, string | number>[];
  readonly figures: readonly Figure[];
  readonly notes?: readonly string[];
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Reports progress on stderr; the results go elsewhere. */
export function progress(line: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)}  ${line}\n`);
}

export function printResult(title: string, { tables = {}, rows = [], figures, notes = [] }: Result): void {
  print(`\n${title}`);
  for (const [name, own] of Object.entries(tables)) {
    print(`  ${name}`);
    printTable(own);
  }
  if (rows.length > 0) printTable(rows);
  for (const { what, value, unit, goal } of figures) print(`  ${what}: ${shown(value)} ${unit}${verdict(value, goal)}`);
  for (const note of notes) print(`  ${note}`);
}

function printTable(rows: readonly Record<string, string | number>[]): void {
  const columns = Object.entries(rows[0]!).map(([name, first]) => {
    const cells = [name, ...rows.map((row) => shown(row[name]!))];
    const width = Math.max(...cells.map(({ length }) => length));
    return cells.map((cell) => (typeof first === 'string' ? cell.padEnd(width) : cell.padStart(width)));
  });
  for (const line of columns[0]!.keys()) print(`  ${columns.map((cells) => cells[line]).join('  ')}`);
}

function verdict(value: number, goal: Figure['goal']): string {
  if (!goal) return '';
  const [sign, bound] = 'atLeast' in goal ? (['≥', goal.atLeast] as const) : (['≤', goal.atMost] as const);
  const isReached = sign === '≥' ? value >= bound : value <= bound;
  return ` (goal ${sign} ${shown(bound)}: ${isReached ? 'reached' : 'not reached'})`;
}

function shown(value: string | number): string {
  if (typeof value === 'string') return value;
  if (Number.isInteger(value) || Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return value.toFixed(2);
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** If the quantile falls between two values, their average. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const [below, above] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return below === undefined ? Number.NaN : (below + above!) / 2;
}
