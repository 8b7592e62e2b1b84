import { isDeepStrictEqual } from 'node:util';
import type pg from 'pg';
import { cursor } from '#libs/database/cursor.js';
import { withoutSecrets } from '#libs/platform/redact.js';
import type { Compared, Row } from './compared.js';
import type { Fields, Kind, State } from './state.js';

/** The log and the database do not agree. */
export interface Difference {
  readonly kind: Kind;
  readonly id: string;
  /** Null if one of them does not have the object at all. */
  readonly field: string | null;
  readonly log: unknown;
  readonly database: unknown;
}

/** A field that the log does not say, of so many objects. */
export interface LeftOut {
  readonly kind: Kind;
  readonly field: string;
  readonly objects: number;
}

export interface Comparison {
  readonly differences: readonly Difference[];
  readonly leftOut: readonly LeftOut[];
}

/**
 * Compares the objects of some kinds with the database.
 * @param values the parameters of the statements
 */
export async function compare(
  client: Pick<pg.ClientBase, 'query'>,
  state: State,
  kinds: readonly Compared[],
  values: readonly unknown[],
): Promise<Comparison> {
  const differences: Difference[] = [];
  const leftOut = new Map<string, LeftOut>();
  for (const compared of kinds) {
    const { kind } = compared;
    const unseen = new Set(state.of(kind).keys());
    for await (const row of cursor<Row>(client, statementOf(compared), values)) {
      const id = compared.idOf(...compared.key.map((_, n) => row[`id${n}`] as string));
      unseen.delete(id);
      const fields = state.get(kind, id);
      const database = read(compared, row);
      if (!fields) {
        differences.push({ kind, id, field: null, log: null, database });
        continue;
      }
      for (const [field, value] of Object.entries(database)) {
        const log = expected(compared, fields, field);
        if (log === undefined) {
          const place = `${kind}.${field}`;
          leftOut.set(place, { kind, field, objects: (leftOut.get(place)?.objects ?? 0) + 1 });
        } else if (!isSame(log, value)) differences.push({ kind, id, field, log, database: value });
      }
    }
    for (const id of unseen) {
      differences.push({ kind, id, field: null, log: logOf(compared, state.get(kind, id)!), database: null });
    }
  }
  return { differences, leftOut: [...leftOut.values()] };
}

function statementOf({ key, columns, from }: Compared): string {
  const selected = [
    ...key.map((sql, n) => `${sql} AS id${n}`),
    ...Object.entries(columns).map(([field, { sql }]) => `${sql} AS "${field}"`),
  ];
  return `SELECT ${selected.join(', ')} ${from}`;
}

function read({ columns }: Compared, row: Row): Fields {
  return Object.fromEntries(
    Object.entries(columns).map(([field, { read }]) => {
      const value = row[field];
      return [field, value !== null && read ? read(value) : value];
    }),
  );
}

function expected({ columns }: Compared, fields: Fields, field: string): unknown {
  const { expected } = columns[field]!;
  return expected ? expected(fields) : fields[field];
}

function logOf(compared: Compared, fields: Fields): Fields {
  return Object.fromEntries(Object.keys(compared.columns).map((field) => [field, expected(compared, fields, field)]));
}

/** A secret that somebody typed into a text is in the database, but not in the log. */
function isSame(log: unknown, database: unknown): boolean {
  return (
    isDeepStrictEqual(log, database) || isDeepStrictEqual(log, JSON.parse(withoutSecrets(JSON.stringify(database))))
  );
}
