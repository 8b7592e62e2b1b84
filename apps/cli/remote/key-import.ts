import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { ApiError, type Client } from '#libs/client/client.js';
import { IMPORT_LIMITS, MOST_IMPORTED_AT_ONCE } from '#libs/contract/api-key-import.js';
import type { CommandProcess } from '../command-process.js';
import { EXIT_REFUSED, EXIT_USAGE } from '../exit-codes.js';
import { connect } from './connection.js';
import { Failure } from './failure.js';
import { importRows, type ImportRow } from './import-rows.js';
import type { ApiKey } from './key-card.js';
import type { KeyOptions } from './keys.js';
import { organizationOf } from './organizations.js';
import { json, note, write } from './output.js';
import { printable } from './text.js';

type Import = Awaited<ReturnType<Client['apiKeys']['import']>>;

export interface ImportKeysOptions extends KeyOptions {
  readonly format?: 'csv' | 'jsonl';
  readonly scope?: string[];
  readonly environment?: ApiKey['environment'];
  readonly dryRun?: boolean;
}

/** What the rows of one call may have, with room for the rest of the body. */
const MOST_ROWS = MOST_IMPORTED_AT_ONCE;
const MOST_BYTES = IMPORT_LIMITS.bytes - 4096;
const MOST_VALUES = IMPORT_LIMITS.values - 10;

/**
 * Imports the keys of a file, as many in a call as the API takes. Each call imports all of its keys or none.
 * @throws Failure that names the lines that are wrong
 */
export async function importKeys(file: string, options: ImportKeysOptions, host: CommandProcess): Promise<void> {
  const { scope: scopes, environment, dryRun = false } = options;
  const defaults = { ...(scopes && { scopes }), ...(environment && { environment }) };
  const rows = importRows(await textOf(file), options.format ?? formatOf(file), defaults);
  if (rows.length === 0) throw new Failure(`${file} has no keys.`, EXIT_USAGE);
  const api = connect(host.env);
  const organization = await organizationOf(api, host.env, options.organization);
  const imports: Import[] = [];
  for (const batch of batchesOf(rows)) {
    const body = { organization_id: organization, dry_run: dryRun, keys: batch.map(({ row }) => row) };
    imports.push(
      await api.apiKeys.import({ body }).catch((error: unknown) => {
        throw inLines(error, batch, dryRun ? 0 : countOf(imports));
      }),
    );
    if (countOf(imports) < rows.length) note(host, `${countOf(imports)} of ${rows.length} keys`);
  }
  const whole = {
    organization_id: organization,
    dry_run: dryRun,
    imported: sumOf(imports, 'imported'),
    existing: sumOf(imports, 'existing'),
    data: imports.flatMap(({ data }) => data),
  };
  await write(host, options.json ? json(host, whole) : inWords(whole));
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new Failure(`${file} could not be read (${(error as NodeJS.ErrnoException).code}).`, EXIT_USAGE);
  }
}

function formatOf(file: string): 'csv' | 'jsonl' {
  const extension = extname(file).toLowerCase();
  if (extension === '.csv') return 'csv';
  if (extension === '.jsonl' || extension === '.ndjson') return 'jsonl';
  throw new Failure(`Say what ${file} is, with --format csv or --format jsonl.`, EXIT_USAGE);
}

function* batchesOf(rows: readonly ImportRow[]): Generator<readonly ImportRow[]> {
  let batch: ImportRow[] = [];
  let bytes = 0;
  let values = 0;
  for (const row of rows) {
    const ownBytes = Buffer.byteLength(JSON.stringify(row.row)) + 1;
    const ownValues = valuesIn(row.row);
    const isFull = batch.length === MOST_ROWS || bytes + ownBytes > MOST_BYTES || values + ownValues > MOST_VALUES;
    if (isFull && batch.length > 0) {
      yield batch;
      batch = [];
      bytes = values = 0;
    }
    batch.push(row);
    bytes += ownBytes;
    values += ownValues;
  }
  yield batch;
}

/** As the API counts them: objects and lists, too. */
function valuesIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce<number>((sum, inner) => sum + valuesIn(inner), 1);
}

/** Names the lines of the file instead of the rows of the call. */
function inLines(error: unknown, batch: readonly ImportRow[], imported: number): unknown {
  const errors = error instanceof ApiError ? (error.problem.errors ?? []) : [];
  const faults = errors.flatMap(({ location, message }) => {
    const [, index, field = ''] = /^body\.keys\[(\d+)\]\.?(.*)$/.exec(location) ?? [];
    const line = index === undefined ? undefined : batch[Number(index)]?.line;
    return line === undefined ? [] : [`line ${line}: ${field && `${field} `}${message}`];
  });
  if (!(error instanceof ApiError) || faults.length === 0) return error;
  const { code, request_id: requestId } = error.problem;
  const before = imported > 0 ? `, after ${imported} others: correct the file, and run the command again` : '';
  return new Failure(
    `${printable(faults.join('\n'))}\nNone of these ${batch.length} keys was imported${before} (${code}, request ${requestId})`,
    EXIT_REFUSED,
  );
}

function inWords({ dry_run: isDryRun, imported, existing }: Import): string {
  const would = isDryRun ? 'would be' : imported === 1 ? 'was' : 'were';
  const known = existing === 0 ? '' : `, and ${existing} ${existing === 1 ? 'is' : 'are'} there already`;
  return `${imported} ${imported === 1 ? 'key' : 'keys'} ${would} imported${known}.\n`;
}

function countOf(imports: readonly Import[]): number {
  return imports.reduce((sum, { data }) => sum + data.length, 0);
}

function sumOf(imports: readonly Import[], what: 'imported' | 'existing'): number {
  return imports.reduce((sum, one) => sum + one[what], 0);
}
