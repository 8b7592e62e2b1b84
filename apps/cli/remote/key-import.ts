import { access, constants } from 'node:fs/promises';
import { extname } from 'node:path';
import { ApiError, type Client } from '#libs/client/client.js';
import { IMPORT_LIMITS, MOST_IMPORTED_AT_ONCE } from '#libs/contract/api-key-import.js';
import type { CommandProcess } from '../command-process.js';
import { EXIT_REFUSED, EXIT_USAGE } from '../exit-codes.js';
import { readKeys } from './better-auth-database.js';
import { betterAuthKey, fromBetterAuth, type LeftOut } from './better-auth.js';
import { connect } from './connection.js';
import { Failure } from './failure.js';
import { importRows, type ImportRow, type RowDefaults } from './import-rows.js';
import type { ApiKey } from './key-card.js';
import type { KeyOptions } from './keys.js';
import { organizationOf } from './organizations.js';
import { json, note, write } from './output.js';
import { printable } from './text.js';

type Import = Awaited<ReturnType<Client['apiKeys']['import']>>;

export interface ImportKeysOptions extends KeyOptions {
  readonly format?: 'csv' | 'jsonl';
  readonly from?: 'better-auth';
  readonly database?: string;
  readonly table: string;
  readonly reference?: string[];
  readonly scope?: string[];
  readonly environment?: ApiKey['environment'];
  readonly dryRun?: boolean;
}

/** What the rows of one call may have, with room for the rest of the body. */
const MOST_ROWS = MOST_IMPORTED_AT_ONCE;
const MOST_BYTES = IMPORT_LIMITS.bytes - 4096;
const MOST_VALUES = IMPORT_LIMITS.values - 10;

/**
 * Imports keys, as many in a call as the API takes. Each call imports all of its keys or none. The rows of a file must
 * all be right. Keys of another system that cannot be imported are left out, with the reason.
 * @throws Failure that names the lines that are wrong
 */
export async function importKeys(
  file: string | undefined,
  options: ImportKeysOptions,
  host: CommandProcess,
): Promise<void> {
  const source = await sourceOf(file, options);
  const api = connect(host.env);
  const organization = await organizationOf(api, host.env, options.organization);
  const { dryRun = false } = options;
  const imports: Import[] = [];
  const leftOut: LeftOut[] = [];
  const leaveOut = (key: LeftOut) => {
    leftOut.push(key);
    note(host, printable(`${key.place}: left out, ${key.reason}`));
  };
  const call = (batch: readonly ImportRow[]) =>
    api.apiKeys.import({
      body: { organization_id: organization, dry_run: dryRun, keys: batch.map(({ row }) => row) },
    });
  for await (const batch of batchesOf(without(source, leaveOut))) {
    const done =
      file === undefined
        ? await importGood(batch, call, leaveOut)
        : await importAll(batch, call, dryRun ? 0 : countOf(imports));
    if (done) imports.push(done);
    if (batch.length === MOST_ROWS) note(host, `${countOf(imports)} keys so far`);
  }
  if (file !== undefined && imports.length === 0) throw new Failure(`${file} has no keys.`, EXIT_USAGE);
  const whole = {
    organization_id: organization,
    dry_run: dryRun,
    imported: sumOf(imports, 'imported'),
    existing: sumOf(imports, 'existing'),
    data: imports.flatMap(({ data }) => data),
    ...(file === undefined && { left_out: leftOut.map(({ place, reason }) => ({ key: place.slice(4), reason })) }),
  };
  await write(host, options.json ? json(host, whole) : inWords(whole));
  const working = leftOut.filter(({ ended }) => !ended).length;
  if (working > 0)
    throw new Failure(`${working} keys that may still be in use were left out, as said above.`, EXIT_REFUSED);
}

type Rows = AsyncIterable<ImportRow>;

async function sourceOf(
  file: string | undefined,
  { from, database, table, reference, format, scope: scopes, environment }: ImportKeysOptions,
): Promise<AsyncIterable<ImportRow | LeftOut>> {
  const defaults = { ...(scopes && { scopes }), ...(environment && { environment }) };
  if (file !== undefined) {
    if (from !== undefined || database !== undefined) {
      throw new Failure('Name a file, or a system with --from and --database, not both.', EXIT_USAGE);
    }
    await access(file, constants.R_OK).catch((error: NodeJS.ErrnoException) => {
      throw new Failure(`${file} could not be read (${error.code}).`, EXIT_USAGE);
    });
    return importRows(file, format ?? formatOf(file), defaults);
  }
  if (from === undefined || database === undefined) {
    throw new Failure('Name a file, or a system with --from better-auth and --database URL.', EXIT_USAGE);
  }
  return keysOfBetterAuth(readKeys(database, table), reference, defaults);
}

async function* keysOfBetterAuth(
  rows: AsyncIterable<object>,
  references: readonly string[] | undefined,
  defaults: RowDefaults,
): AsyncGenerator<ImportRow | LeftOut> {
  const now = new Date();
  for await (const row of rows) {
    const key = betterAuthKey(row);
    if (!references || references.includes(key.referenceid)) yield fromBetterAuth(key, defaults, now);
  }
}

async function* without(
  source: AsyncIterable<ImportRow | LeftOut>,
  leaveOut: (key: LeftOut) => void,
): AsyncGenerator<ImportRow> {
  for await (const key of source) {
    if ('reason' in key) leaveOut(key);
    else yield key;
  }
}

type Call = (batch: readonly ImportRow[]) => Promise<Import>;

/** @throws Failure that names each bad row */
async function importAll(batch: readonly ImportRow[], call: Call, imported: number): Promise<Import> {
  return call(batch).catch((error: unknown) => {
    throw inRows(error, batch, imported);
  });
}

/** Leaves out the rows that the API refuses, and imports the others. */
async function importGood(
  batch: readonly ImportRow[],
  call: Call,
  leaveOut: (key: LeftOut) => void,
): Promise<Import | undefined> {
  let rest = batch;
  while (rest.length > 0) {
    try {
      return await call(rest);
    } catch (error) {
      const faults = faultsIn(error, rest);
      if (faults.size === 0) throw error;
      for (const [row, reasons] of faults) leaveOut({ place: row.place, reason: reasons.join('; '), ended: false });
      rest = rest.filter((row) => !faults.has(row));
    }
  }
  return undefined;
}

function formatOf(file: string): 'csv' | 'jsonl' {
  const extension = extname(file).toLowerCase();
  if (extension === '.csv') return 'csv';
  if (extension === '.jsonl' || extension === '.ndjson') return 'jsonl';
  throw new Failure(`Say what ${file} is, with --format csv or --format jsonl.`, EXIT_USAGE);
}

async function* batchesOf(rows: Rows): AsyncGenerator<readonly ImportRow[]> {
  let batch: ImportRow[] = [];
  let bytes = 0;
  let values = 0;
  for await (const row of rows) {
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
  if (batch.length > 0) yield batch;
}

/** As the API counts them: objects and lists, too. */
function valuesIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce<number>((sum, inner) => sum + valuesIn(inner), 1);
}

/** What is wrong with which row, in the words of the source instead of those of the call. */
function faultsIn(error: unknown, batch: readonly ImportRow[]): Map<ImportRow, string[]> {
  const faults = new Map<ImportRow, string[]>();
  for (const { location, message } of error instanceof ApiError ? (error.problem.errors ?? []) : []) {
    const [, index, field = '', rest = ''] = /^body\.keys\[(\d+)\]\.?(\w*)(.*)$/.exec(location) ?? [];
    const row = index === undefined ? undefined : batch[Number(index)];
    if (!row) continue;
    const said = message.replace(/keys\[(\d+)\]/g, (text, other: string) => batch[Number(other)]?.place ?? text);
    const name = row.names[field] ?? `${field}${rest}`;
    faults.set(row, [...(faults.get(row) ?? []), `${name && `${name} `}${said}`]);
  }
  return faults;
}

function inRows(error: unknown, batch: readonly ImportRow[], imported: number): unknown {
  const faults = [...faultsIn(error, batch)].flatMap(([{ place }, reasons]) =>
    reasons.map((one) => `${place}: ${one}`),
  );
  if (!(error instanceof ApiError) || faults.length === 0) return error;
  const { code, request_id: requestId } = error.problem;
  const before = imported > 0 ? `, after ${imported} others: correct the file, and run the command again` : '';
  return new Failure(
    `${faults.map(printable).join('\n')}\nNone of these ${batch.length} keys was imported${before} (${code}, request ${requestId})`,
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
