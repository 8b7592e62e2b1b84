import { readFileSync } from 'node:fs';
import { openCheckpoint, type Checkpoint } from '#libs/tlog/checkpoint.js';
import { parseVkey } from '#libs/tlog/note.js';
import { ProofError } from '#libs/tlog/proof-error.js';
import { ChangedLeaves, WholeLog } from '#libs/tlog/whole-log.js';
import type { CommandProcess } from '../command-process.js';
import { EXIT_REFUSED, EXIT_UNAVAILABLE, EXIT_USAGE } from '../exit-codes.js';
import { fromFile, fromServer, HASHES, type AuditLogSource } from './audit-sources.js';
import { connect } from './connection.js';
import { Failure } from './failure.js';
import { failureOf } from './failures.js';
import { replaceFile } from './replace-file.js';

export interface VerifyOptions {
  readonly url?: string;
  readonly organization?: string;
  readonly state?: string;
  readonly vkey?: readonly string[];
  readonly acceptEpoch?: number;
  readonly json?: true;
}

/** What could not be checked in full is neither verified nor tampered with. */
const EXIT_INCOMPLETE = 2;

/** The last checkpoint that was verified, and its key. */
interface State {
  readonly checkpoint: string;
  readonly vkey: string;
}

interface Result {
  readonly result: 'verified' | 'tampered' | 'incomplete';
  readonly organization_id: string | null;
  /** Where the first change is: at this leaf or, if there is a last one, in these leaves. */
  readonly leaf_index?: number;
  readonly last_leaf_index?: number;
  readonly detail?: string;
  readonly size?: number;
  readonly root?: string;
  readonly origin?: string;
  readonly vkey?: string;
  /** Where the key came from: one that comes with the log itself proves no more than that it fits together. */
  readonly key_from?: 'option' | 'state' | 'log';
  readonly continues?: number;
}

/** Verifies a whole audit log, on a server or in a file. @returns the exit code */
export async function verifyAudit(file: string | undefined, options: VerifyOptions, host: CommandProcess) {
  if ((file === undefined) === (options.organization === undefined)) {
    host.stderr.write('Give the FILE of an export with --proofs, or --organization for an audit log on a server.\n');
    return EXIT_USAGE;
  }
  let organizationId = options.organization ?? null;
  let result: Result;
  try {
    const source = await open(file, options, host);
    organizationId = source.organizationId;
    result = await verify(source, options, host);
  } catch (error) {
    const failure = error instanceof ProofError ? error : failureOf(error);
    if (failure instanceof ProofError) {
      result = { result: 'tampered', organization_id: organizationId, ...leavesOf(failure), detail: failure.message };
    } else if (failure instanceof Failure && [EXIT_REFUSED, EXIT_UNAVAILABLE].includes(failure.exitCode)) {
      result = { result: 'incomplete', organization_id: organizationId, detail: failure.message };
    } else throw failure;
  }
  host.stdout.write(options.json ? `${JSON.stringify(result)}\n` : textOf(result));
  return { verified: 0, tampered: EXIT_REFUSED, incomplete: EXIT_INCOMPLETE }[result.result];
}

function leavesOf(error: ProofError): Pick<Result, 'leaf_index' | 'last_leaf_index'> {
  if (!(error instanceof ChangedLeaves)) return {};
  const { first, last } = error;
  return { leaf_index: first, ...(last > first && { last_leaf_index: last }) };
}

async function open(file: string | undefined, { url, organization }: VerifyOptions, host: CommandProcess) {
  if (file === undefined) {
    return fromServer(connect(url ? { ...host.env, KEYLEDGER_URL: url } : host.env), organization!);
  }
  try {
    return await fromFile(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw code ? new Failure(`${file} cannot be read (${code}).`, EXIT_REFUSED) : error;
  }
}

async function verify(source: AuditLogSource, options: VerifyOptions, host: CommandProcess): Promise<Result> {
  const state = options.state === undefined ? null : readState(options.state);
  const [keyFrom, vkeys] = trustedKeys(source, options, state);
  const keys = vkeys.map(parseVkey);
  const checkpoint = openCheckpoint(source.checkpoint, keys);
  if (!checkpoint.origin.endsWith(`/${source.organizationId}`)) {
    throw new ProofError(`The checkpoint is of the log ${checkpoint.origin}, not of ${source.organizationId}`);
  }
  const earlier = state && openCheckpoint(state.checkpoint, [parseVkey(state.vkey)]);
  const isNewEpoch = earlier !== null && earlier.origin !== checkpoint.origin;
  if (isNewEpoch && options.acceptEpoch === undefined) {
    throw new ProofError(
      `The log is now ${checkpoint.origin}, and was ${earlier.origin}: a new epoch has begun. Ask why. Then accept it with --accept-epoch`,
    );
  }
  const known = earlier && !isNewEpoch ? earlier : null;
  if (known && known.size > checkpoint.size) {
    throw new ProofError(
      `The log had ${known.size} entries, and the checkpoint has ${checkpoint.size}: its end was cut off`,
    );
  }
  const epoch = await readAll(source, checkpoint, known, host);
  if (isNewEpoch && epoch !== options.acceptEpoch) {
    throw new ProofError(`The log has the epoch ${epoch}, not ${options.acceptEpoch}`);
  }
  const vkey = vkeys.find((text) => parseVkey(text).name === checkpoint.origin)!;
  if (options.state !== undefined)
    replaceFile(options.state, `${JSON.stringify({ checkpoint: source.checkpoint, vkey } satisfies State)}\n`);
  return {
    result: 'verified',
    organization_id: source.organizationId,
    size: checkpoint.size,
    root: Buffer.from(checkpoint.root).toString('base64'),
    origin: checkpoint.origin,
    vkey,
    key_from: keyFrom,
    ...(known && { continues: known.size }),
  };
}

/** The keys of the epoch that the checkpoint names. A known key wins over those that come with the log. */
function trustedKeys({ vkeys }: AuditLogSource, { vkey, acceptEpoch }: VerifyOptions, state: State | null) {
  if (vkey?.length) return ['option', vkey] as const;
  if (state && acceptEpoch === undefined) {
    const { name } = parseVkey(state.vkey);
    // Keys of another name are of another epoch, which differs from a wrong signature.
    return ['state', [state.vkey, ...vkeys.filter((text) => parseVkey(text).name !== name)]] as const;
  }
  return ['log', vkeys] as const;
}

/** @returns the number of the last epoch that an entry begins */
async function readAll(
  source: AuditLogSource,
  checkpoint: Checkpoint,
  known: Checkpoint | null,
  host: CommandProcess,
): Promise<number> {
  const trees = known ? [checkpoint, known] : [checkpoint];
  try {
    return await feed(new WholeLog(trees, HASHES), source, false, host);
  } catch (error) {
    if (!(error instanceof ProofError) || error instanceof ChangedLeaves) throw error;
    // Read it again with its hashes, to name the entry that was changed, or at least the bundle.
    try {
      const roots = await source.bundleRoots?.(checkpoint.size);
      await feed(new WholeLog(trees, HASHES, roots), source, true, host);
    } catch (found) {
      if (found instanceof ChangedLeaves) throw found;
    }
    throw error;
  }
}

const EPOCH_TYPE = 'audit_log.epoch_started';
const SAY_EVERY = 10_000;

async function feed(log: WholeLog, source: AuditLogSource, withHashes: boolean, host: CommandProcess): Promise<number> {
  let epoch = 1;
  let next = SAY_EVERY;
  for await (const received of source.entries(log.size, withHashes)) {
    for (const { entry, hash } of received) {
      log.add(entry, hash);
      const bytes = Buffer.from(entry.buffer, entry.byteOffset, entry.length);
      if (bytes.includes(EPOCH_TYPE)) epoch = epochOf(bytes) ?? epoch;
    }
    if (host.stderr.isTTY && log.next >= next) {
      host.stderr.write(`\r${log.next} of ${log.size} entries `);
      next = log.next + SAY_EVERY;
    }
  }
  if (host.stderr.isTTY) host.stderr.write('\r\u001B[K');
  log.end();
  return epoch;
}

function epochOf(entry: Buffer): number | null {
  try {
    const { type, data } = JSON.parse(entry.toString()) as { type: string; data: { epoch: number } };
    return type === EPOCH_TYPE ? data.epoch : null;
  } catch {
    // It is not verified yet.
    return null;
  }
}

/** @returns null if there is no file yet */
function readState(path: string): State | null {
  try {
    const { checkpoint, vkey } = JSON.parse(readFileSync(path, 'utf8')) as Partial<State>;
    if (typeof checkpoint === 'string' && typeof vkey === 'string') return { checkpoint, vkey };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    if (code) throw new Failure(`${path} cannot be read (${code}).`, EXIT_REFUSED);
  }
  throw new Failure(`${path} is not a state that \`keyledger audit verify --state\` wrote: restore it.`, EXIT_REFUSED);
}

const KEYS = { option: 'the given key', state: 'the remembered key', log: 'the key that came with it' };

function textOf(result: Result): string {
  const { organization_id: id, size, continues, key_from: keyFrom, vkey, detail } = result;
  if (result.result === 'verified') {
    const since = continues === undefined ? '' : ` It continues the ${continues} entries that were verified before.`;
    const key = keyFrom === 'log' ? ` Keep it, and give it with --vkey from now on: ${vkey}.` : '';
    return `Verified ${size} entries of the audit log of ${id}, with ${KEYS[keyFrom!]}.${since}${key}\n`;
  }
  const what = id === null ? 'The audit log' : `The audit log of ${id}`;
  return result.result === 'tampered'
    ? `${what} is NOT as it was signed: ${detail}.\n`
    : `${what} could not be checked in full: ${detail}\n`;
}
