import { createHash } from 'node:crypto';
import type { Client } from '#libs/client/client.js';
import { isImportable } from '#libs/api-key-format/imported-token.js';
import { EXIT_USAGE } from '../exit-codes.js';
import { Failure } from './failure.js';

/** A key as the API takes it. The API checks what the file says. */
type NewRow = Parameters<Client['apiKeys']['import']>[0]['body']['keys'][number];

export interface ImportRow {
  /** The line on which it begins, counted from 1. */
  readonly line: number;
  readonly row: NewRow;
}

/** Fields that a row of the file does not have itself. */
type RowDefaults = Partial<Pick<NewRow, 'scopes' | 'environment'>>;

type Fields = Record<string, unknown>;

/** @throws Failure that names the line */
export function importRows(text: string, format: 'csv' | 'jsonl', defaults: RowDefaults): ImportRow[] {
  const lines = format === 'csv' ? rowsOfCsv(text) : rowsOfJson(text);
  return lines.map(({ line, fields }) => ({ line, row: { ...defaults, ...withHash(fields, line) } as NewRow }));
}

/** A token never leaves this machine. */
function withHash({ token, ...fields }: Fields, line: number): Fields {
  if (token === undefined) return fields;
  if (fields['hash'] !== undefined) throw faultIn(line, 'has a token and a hash: leave one of them out');
  if (typeof token !== 'string' || !isImportable(token)) {
    throw faultIn(
      line,
      'has a token that cannot be imported: it must have 16 to 500 characters of printable ASCII without spaces and ' +
        'commas, and not be a key of Keyledger',
    );
  }
  return { hash: createHash('sha256').update(token).digest('hex'), ...fields };
}

function faultIn(line: number, what: string): Failure {
  return new Failure(`Line ${line} ${what}.`, EXIT_USAGE);
}

interface ReadRow {
  readonly line: number;
  readonly fields: Fields;
}

function rowsOfJson(text: string): ReadRow[] {
  return text.split('\n').flatMap((content, index) => {
    if (content.trim() === '') return [];
    const fields = objectIn(content);
    if (!fields) throw faultIn(index + 1, 'is not a JSON object');
    return [{ line: index + 1, fields }];
  });
}

function objectIn(text: string): Fields | undefined {
  const value = jsonIn(text);
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** How a cell says the value of a field that is no text. */
const CELLS: Readonly<Record<string, (text: string) => unknown>> = {
  scopes: listIn,
  public_scopes: listIn,
  allowed_domains: listIn,
  allowed_ips: listIn,
  metadata: jsonIn,
  rate_limits: jsonIn,
  expires_in_days: Number,
};

function listIn(text: string): string[] {
  return text.split(/[\s,;]+/).filter(Boolean);
}

function rowsOfCsv(text: string): ReadRow[] {
  const [head, ...rows] = recordsOf(text);
  const names = head?.cells.map((name) => name.trim()) ?? [];
  return rows.map(({ line, cells }) => {
    if (cells.length !== names.length) {
      throw faultIn(line, `has ${cells.length} cells, and the first line has ${names.length}`);
    }
    const said = names.flatMap((name, index) => {
      const cell = cells[index]!;
      if (cell === '') return [];
      const value = Object.hasOwn(CELLS, name) ? CELLS[name]!(cell) : cell;
      if (value === undefined || Number.isNaN(value)) throw faultIn(line, `has no valid ${name}`);
      return [[name, value]];
    });
    return { line, fields: Object.fromEntries(said) as Fields };
  });
}

interface CsvRecord {
  readonly line: number;
  readonly cells: string[];
}

/** CSV (RFC 4180), also with LF alone and after a byte order mark. */
function recordsOf(text: string): CsvRecord[] {
  const records: CsvRecord[] = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y;
  let line = 1;
  let current: CsvRecord = { line, cells: [] };
  cell.lastIndex = text.startsWith('\uFEFF') ? 1 : 0;
  while (cell.lastIndex < text.length) {
    const found = cell.exec(text);
    if (!found) throw faultIn(line, 'is not CSV: a quote is missing, or has to be doubled');
    const [whole, quoted, plain, end] = found;
    current.cells.push(quoted === undefined ? plain! : quoted.replaceAll('""', '"'));
    line += whole.split('\n').length - 1;
    if (end === ',' && cell.lastIndex === text.length) current.cells.push('');
    if (end === ',' && cell.lastIndex < text.length) continue;
    if (current.cells.length > 1 || current.cells[0] !== '') records.push(current);
    current = { line, cells: [] };
  }
  return records;
}
