import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { CsvError, parse, type Info } from 'csv-parse';
import { isImportable } from '#libs/api-key-format/imported-token.js';
import type { Client } from '#libs/client/client.js';
import { IMPORT_LIMITS } from '#libs/contract/api-key-import.js';
import { EXIT_USAGE } from '../exit-codes.js';
import { Failure } from './failure.js';
import { linesOf } from './lines.js';

/** A key as the API takes it. The API checks what the source says. */
type NewRow = Parameters<Client['apiKeys']['import']>[0]['body']['keys'][number];

export interface ImportRow {
  /** Where it is in the source: `line 3`. */
  readonly place: string;
  readonly row: NewRow;
  /** What the source or the command calls a field of the API, where it differs. */
  readonly names: Readonly<Record<string, string>>;
}

/** Fields that a row does not have itself. The options of the command set them. */
export type RowDefaults = Partial<Pick<NewRow, 'scopes' | 'environment'>>;

const OPTIONS = { scopes: '--scope', environment: '--environment' };

type Fields = Record<string, unknown>;

/**
 * Reads the rows of a file as they come, so that the file may have any length.
 * @throws Failure that names the line
 */
export async function* importRows(
  file: string,
  format: 'csv' | 'jsonl',
  defaults: RowDefaults,
): AsyncGenerator<ImportRow> {
  for await (const { line, fields } of format === 'csv' ? rowsOfCsv(file) : rowsOfJson(file)) {
    const names = { ...namesOf(defaults, fields), ...('token' in fields && { hash: 'token' }) };
    yield { place: `line ${line}`, row: { ...defaults, ...withHash(fields, line) } as NewRow, names };
  }
}

/** The options that set fields which the row does not have. */
export function namesOf(defaults: RowDefaults, fields: object): Record<string, string> {
  return Object.fromEntries(Object.entries(OPTIONS).filter(([field]) => field in defaults && !(field in fields)));
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

/** No row that fits into a call is longer. */
const MOST_BYTES = IMPORT_LIMITS.bytes;
const TOO_LONG = `is longer than ${MOST_BYTES / 1024} KiB`;

async function* rowsOfJson(file: string): AsyncGenerator<ReadRow> {
  let line = 0;
  try {
    for await (const bytes of linesOf(file, { most: MOST_BYTES })) {
      line++;
      const content = bytes.toString();
      if (content.trim() === '') continue;
      const fields = objectIn(content);
      if (!fields) throw faultIn(line, 'is not a JSON object');
      yield { line, fields };
    }
  } catch (error) {
    throw error instanceof RangeError ? faultIn(line + 1, TOO_LONG) : error;
  }
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

async function* rowsOfCsv(file: string): AsyncGenerator<ReadRow> {
  let names: readonly string[] | undefined;
  for await (const { line, cells } of recordsOf(file)) {
    if (!names) {
      names = cells.map((name) => name.trim());
      continue;
    }
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
    yield { line, fields: Object.fromEntries(said) as Fields };
  }
}

const CSV = {
  bom: true,
  info: true,
  record_delimiter: ['\r\n', '\n'],
  skip_empty_lines: true,
  // The error of the library does not say what to do.
  relax_column_count: true,
  max_record_size: MOST_BYTES,
};

async function* recordsOf(file: string): AsyncGenerator<{ readonly line: number; readonly cells: readonly string[] }> {
  const parser = parse(CSV);
  // The parser passes an error of the file on.
  pipeline(createReadStream(file), parser, () => undefined);
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: Info }>) {
      const inside = record.join('').split('\n').length - 1;
      yield { line: info.lines - inside, cells: record };
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const line = (error as CsvError & Partial<Info>).lines ?? parser.info.lines;
    if (error.code === 'CSV_MAX_RECORD_SIZE') throw faultIn(line, TOO_LONG);
    throw faultIn(line, 'is not CSV: a quote is missing, or has to be doubled');
  }
}
