import { randomUUID } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import type pg from 'pg';

/** A table of the audit log, as the catalogue of the database has it. */
export interface Table {
  readonly name: string;
  readonly columns: readonly Column[];
  readonly key: readonly string[];
}

interface Column {
  readonly name: string;
  readonly type: string;
  readonly isNullable: boolean;
}

/** A row, by its place on the disk, and its values as text. */
interface Row {
  readonly part: string;
  readonly ctid: string;
  readonly values: Readonly<Record<string, string | null>>;
}

/** A way to change what is stored. */
export interface Tampering {
  readonly table: string;
  readonly name: string;
  /** @returns null if there was nothing to change */
  apply(sql: pg.PoolClient): Promise<Applied | null>;
}

export interface Applied {
  /** The leaves of the rows. Some rows have none: that of a head, for example. */
  readonly leaves: readonly Leaves[];
  readonly detail: string;
  /** What is decoded is the same as before. */
  readonly isSame: boolean;
}

type Kind = readonly [name: string, apply: Tampering['apply']];
export type Leaves = readonly [first: number, last: number];
type Random = () => number;

/** All tables of the audit logs with their columns, so that a new column is tried without being named here. */
export async function readTables(sql: pg.Pool): Promise<Table[]> {
  const { rows } = await sql.query<Table>(`
    SELECT c.relname AS name,
           json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, NULL), 'isNullable', NOT a.attnotnull)
                    ORDER BY a.attnum) AS columns,
           (SELECT array_agg(k.attname::text ORDER BY k.attnum)
            FROM pg_index i JOIN pg_attribute k ON k.attrelid = c.oid AND k.attnum = ANY(i.indkey)
            WHERE i.indrelid = c.oid AND i.indisprimary) AS key
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND c.relname LIKE 'audit\\_%'
    GROUP BY c.oid, c.relname ORDER BY c.relname`);
  return rows;
}

/** Every kind of change: of each column of each table, and of rows. */
export function tamperingsOf(table: Table, organization: string, random: Random): Tampering[] {
  const rows = new Rows(table, organization, random);
  const others = table.columns.filter(({ name }) => !table.key.includes(name));
  const kinds: Kind[] = [
    ...table.columns.map((column): Kind => [`${column.name} changed`, rows.change(column)]),
    ...others.map((column): Kind => [`${column.name} of two rows exchanged`, rows.exchange(column)]),
    ['a row deleted', rows.remove(1)],
    ['the tail cut off', rows.remove(3)],
    ['a row duplicated', rows.duplicate()],
  ];
  return kinds.map(([name, apply]) => ({ table: table.name, name, apply }));
}

class Rows {
  readonly #where: string;

  constructor(
    private readonly table: Table,
    organization: string,
    private readonly random: Random,
  ) {
    const hasOrganization = table.columns.some(({ name }) => name === 'organization_id');
    this.#where = hasOrganization ? `organization_id = '${organization}'` : 'true';
  }

  change(column: Column): Tampering['apply'] {
    return async (sql) => {
      const row = await this.#any(sql);
      if (!row) return null;
      const before = row.values[column.name]!;
      const after = changed(column, before, this.random);
      await this.#set(sql, column, row, after);
      const moved = { ...row, values: { ...row.values, [column.name]: after } };
      return {
        leaves: [...leavesOf(row), ...leavesOf(moved)],
        detail: `${before} became ${after}`,
        isSame: isSame(column, before, after),
      };
    };
  }

  exchange(column: Column): Tampering['apply'] {
    return async (sql) => {
      const [one, other] = [await this.#any(sql), await this.#any(sql)];
      const [before, after] = [one?.values[column.name], other?.values[column.name]];
      if (!one || !other || before === after) return null;
      await this.#set(sql, column, one, after!);
      await this.#set(sql, column, other, before!);
      return { leaves: [...leavesOf(one), ...leavesOf(other)], detail: `${before} and ${after}`, isSame: false };
    };
  }

  /** Removes one row, or as many as that from the end. */
  remove(most: number): Tampering['apply'] {
    return async (sql) => {
      const all = await this.#all(sql);
      const first = most === 1 ? this.#below(all.length) : Math.max(0, all.length - 1 - this.#below(most));
      const gone = all.slice(first, most === 1 ? first + 1 : undefined);
      for (const row of gone) {
        await sql.query(`DELETE FROM ${this.table.name} WHERE ${AT}`, [row.part, row.ctid]);
      }
      return gone.length > 0 ? { leaves: gone.flatMap(leavesOf), detail: `${gone.length} rows`, isSame: false } : null;
    };
  }

  /** Stores a copy of a row under the next free key. */
  duplicate(): Tampering['apply'] {
    return async (sql) => {
      const all = await this.#all(sql);
      const row = all[this.#below(all.length)];
      const counted = this.table.columns.find(({ name, type }) => this.table.key.includes(name) && isInteger(type));
      if (!row || !counted) return null;
      const next = Math.max(...all.map(({ values }) => Number(values[counted.name]))) + 1 + this.#below(2) * 300;
      const copy: Record<string, string | null> = { ...row.values, [counted.name]: String(next) };
      // The id of an event has a unique index.
      if (this.table.columns.some(({ name }) => name === 'leaf_index')) copy['id'] = randomUUID();
      const { columns } = this.table;
      await sql.query(
        `INSERT INTO ${this.table.name} VALUES (${columns.map(({ type }, n) => `$${n + 1}::text::${type}`).join(', ')})`,
        columns.map(({ name }) => copy[name]),
      );
      return { leaves: leavesOf({ ...row, values: copy }), detail: `${counted.name} ${next}`, isSame: false };
    };
  }

  async #set(sql: pg.PoolClient, { name, type }: Column, { part, ctid }: Row, value: string | null): Promise<void> {
    await sql.query(`UPDATE ${this.table.name} SET ${name} = $3::text::${type} WHERE ${AT}`, [part, ctid, value]);
  }

  async #any(sql: pg.PoolClient): Promise<Row | undefined> {
    const all = await this.#all(sql);
    return all[this.#below(all.length)];
  }

  /** In the order of the key. */
  async #all(sql: pg.PoolClient): Promise<Row[]> {
    const { columns, key, name: table } = this.table;
    const values = columns.map(({ name }) => `'${name}', ${name}::text`).join(', ');
    const { rows } = await sql.query<Row>(
      `SELECT tableoid::regclass::text AS part, ctid::text AS ctid, json_build_object(${values}) AS values
       FROM ${table} WHERE ${this.#where} ORDER BY ${key.join(', ')}`,
    );
    return rows;
  }

  #below(count: number): number {
    return Math.floor(this.random() * count);
  }
}

const AT = 'tableoid = $1::regclass AND ctid = $2::tid';

/** The leaves of a row of any table that has some. */
function leavesOf({ values }: Row): Leaves[] {
  const number = (name: string) => (values[name] === undefined ? null : Number(values[name]));
  const [leaf, first, count, level, index] = ['leaf_index', 'first', 'count', 'level', 'index'].map(number);
  if (leaf !== null) return [[leaf!, leaf!]];
  if (first !== null && count !== null) return [[first!, first! + count! - 1]];
  if (index === null) return [];
  // A level that no tree has has an infinite width.
  const width = 256 ** (level ?? 1);
  return [[index === 0 ? 0 : index! * width, (index! + 1) * width - 1]];
}

function isInteger(type: string): boolean {
  return ['smallint', 'integer', 'bigint'].includes(type);
}

/** The body of a bundle may be compressed in several ways. Everything else has one form. */
function isSame({ name }: Column, before: string | null, after: string | null): boolean {
  if (name !== 'body' || before === null || after === null) return before === after;
  try {
    return unpacked(before).equals(unpacked(after));
  } catch {
    return false;
  }
}

const unpacked = (hex: string) => zstdDecompressSync(Buffer.from(hex.slice(2), 'hex'));

/** The text of another value of this type. A type that is not here is an error, so that a new one is added. */
function changed({ type, isNullable }: Column, value: string | null, random: Random): string | null {
  const below = (count: number) => Math.floor(random() * count);
  if (value === null) return NOT_NULL[type] ?? unknownType(type);
  if (isNullable && random() < 0.2) return null;
  const otherBit = (number: string, bits: number) => String(BigInt(number) ^ (1n << BigInt(below(bits))));
  switch (type) {
    case 'bytea': {
      const bytes = Buffer.from(value.slice(2), 'hex');
      if (bytes.length === 0) return '\\x00';
      if (random() < 0.1) return `\\x${bytes.subarray(0, -1).toString('hex')}`;
      bytes[below(bytes.length)]! ^= 1 << below(8);
      return `\\x${bytes.toString('hex')}`;
    }
    case 'smallint':
      return otherBit(value, 15);
    case 'integer':
      return otherBit(value, 31);
    case 'bigint':
      return otherBit(value, 53);
    case 'timestamp with time zone':
      // Also by less than a millisecond.
      return new Date(Date.parse(value) + Math.floor(10 ** (below(12) - 1)))
        .toISOString()
        .replace('Z', `${1 + below(9)}0Z`);
    case 'integer[]':
    case 'smallint[]': {
      const numbers = JSON.parse(`[${value.slice(1, -1)}]`) as number[];
      if (numbers.length === 0 || random() < 0.2) return `{${[...numbers, 1].join(',')}}`;
      const at = below(numbers.length);
      const bits = type === 'integer[]' ? 31 : 7;
      const other = random() < 0.2 ? numbers.toSpliced(at, 1) : numbers.with(at, numbers[at]! ^ (1 << below(bits)));
      return `{${other.join(',')}}`;
    }
    case 'uuid': {
      const at = below(8);
      return value.slice(0, at) + ((Number.parseInt(value[at]!, 16) + 1) % 16).toString(16) + value.slice(at + 1);
    }
    case 'boolean':
      return value === 'true' ? 'false' : 'true';
    case 'inet':
      return random() < 0.5 ? `${value.split('/')[0]}/${value.includes(':') ? 48 : 24}` : '198.51.100.7';
    case 'text': {
      const at = below(value.length);
      return value.slice(0, at) + (value[at] === 'x' ? 'y' : 'x') + value.slice(at + 1);
    }
    default:
      return unknownType(type);
  }
}

const NOT_NULL: Record<string, string> = {
  bytea: '\\x00',
  bigint: '7',
  integer: '7',
  smallint: '7',
  'timestamp with time zone': '2026-11-20T00:00:00Z',
  uuid: '01900000-0000-7000-8000-000000000001',
  inet: '198.51.100.7',
  boolean: 'true',
  text: 'x',
};

function unknownType(type: string): never {
  throw new Error(`A column of the audit log has the type ${type}: say here how to change a value of it`);
}
