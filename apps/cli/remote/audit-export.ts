import { randomBytes } from 'node:crypto';
import { constants, createWriteStream, lstatSync, renameSync, rmSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { CommandProcess } from '../command-process.js';
import type { Client } from '#libs/client/client.js';
import { EXIT_INTERRUPTED, EXIT_OUTPUT, EXIT_USAGE } from '../exit-codes.js';
import { exportWithProofs } from './audit-proofs-export.js';
import { filtersOf, type AuditFilters } from './audit-events.js';
import { connect } from './connection.js';
import { Failure } from './failure.js';
import { findId } from './find-id.js';
import { interruption } from './interruption.js';
import { note, write } from './output.js';

export interface ExportOptions extends AuditFilters {
  readonly from?: string;
  readonly to?: string;
  readonly format?: 'jsonl' | 'csv';
  readonly output?: string;
  readonly proofs?: true;
}

const SAY_MS = 200;

/**
 * Streams the audit log to a file or to stdout. A file is complete or absent; if the output to a pipe is incomplete,
 * the exit code says so.
 */
export async function exportEvents(options: ExportOptions, host: CommandProcess): Promise<void> {
  const stop = interruption(host);
  const { output } = options;
  try {
    const api = connect(host.env, stop);
    const progress = new Progress(host, output !== undefined || !host.stdout.isTTY);
    const chunks = progress.watch(await contentOf(api, options, host));
    await (output === undefined ? toStdout(host, chunks) : toFile(output, chunks));
    if (output !== undefined) note(host, `${output}: ${sizeOf(progress.bytes)}.`);
  } catch (error) {
    throw stop.aborted ? new Failure('', EXIT_INTERRUPTED) : error;
  }
}

async function contentOf(
  api: Client,
  { from, to, format, proofs, ...options }: ExportOptions,
  { env }: CommandProcess,
) {
  if (!proofs) {
    const { body } = await api.audit.exportEvents({
      query: { ...(await filtersOf(api, env, options)), from, to, format },
    });
    return Readable.fromWeb(body!);
  }
  const { organization } = options;
  const isWhole = !from && !to && Object.keys(options).every((name) => ['organization', 'output'].includes(name));
  if (!organization || !isWhole || format === 'csv') {
    throw new Failure(
      '--proofs needs --organization, and takes no filters, times or format: it proves the whole log.',
      EXIT_USAGE,
    );
  }
  return exportWithProofs(api, await findId(api, ['organization'], organization));
}

async function toStdout(host: CommandProcess, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of chunks) await write(host, chunk);
}

async function toFile(file: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const fresh = isReplaceable(file) ? `${file}.${randomBytes(6).toString('hex')}.part` : file;
  try {
    // The audit log contains people's addresses and names: only the owner may read the file, and no link is followed.
    const flags = fresh === file ? constants.O_WRONLY | constants.O_NOFOLLOW : 'wx';
    await pipeline(chunks, createWriteStream(fresh, { mode: 0o600, flags: flags as string }));
    if (fresh !== file) renameSync(fresh, file);
  } catch (error) {
    if (fresh !== file) rmSync(fresh, { force: true });
    const { syscall, code } = error as NodeJS.ErrnoException;
    throw syscall ? new Failure(`${file} could not be written (${code}).`, EXIT_OUTPUT) : error;
  }
}

/**
 * Whether the file is new or replaces a regular file. Named pipes and devices are written to directly.
 * @throws Failure for a symbolic link: its creator decides where it leads
 */
function isReplaceable(file: string): boolean {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found?.isSymbolicLink()) {
    throw new Failure(
      `${file} is a symbolic link, which an export does not follow: name the file itself, or leave out --output for standard output.`,
      EXIT_OUTPUT,
    );
  }
  return found?.isFile() ?? true;
}

/** Goes to stderr, so that the user sees it without mixing it into the output. */
class Progress {
  bytes = 0;
  readonly #shown: boolean;

  constructor(
    private readonly host: CommandProcess,
    outputIsElsewhere: boolean,
  ) {
    this.#shown = outputIsElsewhere && host.stderr.isTTY;
  }

  async *watch(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let next = performance.now();
    try {
      for await (const chunk of chunks) {
        this.bytes += chunk.length;
        if (this.#shown && performance.now() >= next) {
          this.host.stderr.write(`\r${sizeOf(this.bytes)} …`);
          next = performance.now() + SAY_MS;
        }
        yield chunk;
      }
    } finally {
      if (this.#shown) this.host.stderr.write('\r\u001b[K');
    }
  }
}

function sizeOf(bytes: number): string {
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
