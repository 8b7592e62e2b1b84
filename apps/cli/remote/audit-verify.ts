import { readFileSync } from 'node:fs';
import type { Client } from '#libs/client/client.js';
import { openCheckpoint, type Checkpoint } from '#libs/tlog/checkpoint.js';
import { BUNDLE_ENTRIES } from '#libs/tlog/entries.js';
import { formatVkey, openNote, parseVkey, type VerifierKey } from '#libs/tlog/note.js';
import { ProofError } from '#libs/tlog/proof-error.js';
import { followRotations, type KeyRotation } from '#libs/tlog/rotation.js';
import { ChangedLeaves, WholeLog } from '#libs/tlog/whole-log.js';
import type { CommandProcess } from '../command-process.js';
import { EXIT_INCOMPLETE, EXIT_REFUSED, EXIT_UNAVAILABLE, EXIT_USAGE } from '../exit-codes.js';
import { fromFile, fromServer, HASHES, isAnyInside, type AuditLogSource } from './audit-sources.js';
import { connect } from './connection.js';
import { Failure } from './failure.js';
import { findId } from './find-id.js';
import { failureOf } from './failures.js';
import { givenKeys } from './given-keys.js';
import { replaceFile } from './replace-file.js';

export interface VerifyOptions {
  readonly url?: string;
  readonly organization?: string;
  readonly state?: string;
  readonly vkey?: readonly string[];
  readonly acceptEpoch?: number;
  readonly json?: true;
}

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
  /** The key is a new one. The key from there handed over to it. */
  readonly key_follows?: true;
  readonly continues?: number;
  /** Entries below it were pruned: their hashes fit, but what they said could not be checked. */
  readonly pruned_below?: number;
}

/** Verifies a whole audit log, on a server or in a file. @returns the exit code */
export async function verifyAudit(file: string | undefined, options: VerifyOptions, host: CommandProcess) {
  if ((file === undefined) === (options.organization === undefined)) {
    host.stderr.write('Give the FILE of an export with --proofs, or --organization for an audit log on a server.\n');
    return EXIT_USAGE;
  }
  let organizationId: string | null = null;
  let result: Result;
  try {
    const api = file === undefined ? apiOf(options, host) : undefined;
    if (api) organizationId = await findId(api, ['organization'], options.organization!);
    const source = await (api ? fromServer(api, organizationId!) : open(file!));
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

function apiOf({ url }: VerifyOptions, host: CommandProcess): Client {
  return connect(url ? { ...host.env, KEYLEDGER_URL: url } : host.env);
}

async function open(file: string): Promise<AuditLogSource> {
  try {
    return await fromFile(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw code ? new Failure(`${file} cannot be read (${code}).`, EXIT_REFUSED) : error;
  }
}

async function verify(source: AuditLogSource, options: VerifyOptions, host: CommandProcess): Promise<Result> {
  const state = options.state === undefined ? null : readState(options.state);
  const listed = source.vkeys.flatMap(readableKey);
  const given = trustedKeys(options, state);
  // A key that the log lists counts only if it follows from a trusted one, which the entries tell.
  const keys = [...(given?.keys ?? []), ...listed];
  const checkpoint = openCheckpoint(source.checkpoint, keys);
  if (!checkpoint.origin.endsWith(`/${source.organizationId}`)) {
    throw new ProofError(`The checkpoint is of the log ${checkpoint.origin}, not of ${source.organizationId}`);
  }
  if (source.minimum < 0 || source.minimum % BUNDLE_ENTRIES > 0 || source.minimum > checkpoint.size) {
    throw new ProofError(`Of a log of ${checkpoint.size} entries, ${source.minimum} cannot have been pruned`);
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
  const told = await readAll(source, checkpoint, known, host);
  if (isNewEpoch && told.epoch === null) {
    throw new Failure(
      'The entry with which the epoch began was pruned, so its number cannot be checked. Begin with another --state.',
      EXIT_REFUSED,
    );
  }
  if (isNewEpoch && told.epoch !== options.acceptEpoch) {
    throw new ProofError(`The log has the epoch ${told.epoch}, not ${options.acceptEpoch}`);
  }
  // The remembered key is one of the earlier epoch.
  const trusted = given && !(isNewEpoch && given.from === 'state') ? given : ({ from: 'log', keys: listed } as const);
  const signedBy = openNote(source.checkpoint, keys).signedBy.filter(({ name }) => name === checkpoint.origin);
  const vkey = signerOf(signedBy, trusted.keys, told.rotations);
  if (options.state !== undefined)
    replaceFile(options.state, `${JSON.stringify({ checkpoint: source.checkpoint, vkey } satisfies State)}\n`);
  return {
    result: source.minimum > 0 ? 'incomplete' : 'verified',
    organization_id: source.organizationId,
    size: checkpoint.size,
    root: Buffer.from(checkpoint.root).toString('base64'),
    origin: checkpoint.origin,
    vkey,
    key_from: trusted.from,
    ...(!trusted.keys.some((key) => formatVkey(key) === vkey) && { key_follows: true as const }),
    ...(known && { continues: known.size }),
    ...(source.minimum > 0 && { pruned_below: source.minimum }),
  };
}

/** A log may list keys of other kinds. */
function readableKey(vkey: string): VerifierKey[] {
  try {
    return [parseVkey(vkey)];
  } catch (error) {
    if (error instanceof ProofError) return [];
    throw error;
  }
}

/** @returns null if only keys that come with the log are known */
function trustedKeys({ vkey }: VerifyOptions, state: State | null) {
  if (vkey?.length) return { from: 'option', keys: givenKeys('--vkey', vkey, parseVkey) } as const;
  return state && ({ from: 'state', keys: [parseVkey(state.vkey)] } as const);
}

/** The newest key that signed the checkpoint and is trusted, or follows from a trusted key. */
function signerOf(
  signedBy: readonly VerifierKey[],
  trusted: readonly VerifierKey[],
  rotations: readonly KeyRotation[],
): string {
  const signers = signedBy.map(formatVkey);
  const vkey = followRotations(trusted, rotations)
    .map(formatVkey)
    .findLast((text) => signers.includes(text));
  if (vkey !== undefined) return vkey;
  throw new ProofError(
    rotations.some(({ note }) => note === undefined)
      ? 'The checkpoint has no signature of a known key: the log says that the key was compromised and replaced. Get the new key from the people who run the deployment, and give it with --vkey'
      : 'The checkpoint has no signature of a known key, and no entry hands over from one to the key that signed it. Ask the people who run the deployment why, and give the new key with --vkey',
  );
}

/** What the entries say about the log itself. */
interface Told {
  /** The number of the last epoch that an entry begins; null if that may have been pruned. */
  readonly epoch: number | null;
  readonly rotations: readonly KeyRotation[];
}

async function readAll(
  source: AuditLogSource,
  checkpoint: Checkpoint,
  known: Checkpoint | null,
  host: CommandProcess,
): Promise<Told> {
  const trees = known ? [checkpoint, known] : [checkpoint];
  try {
    return await feed(await begin(trees, source), source, false, host);
  } catch (error) {
    if (!(error instanceof ProofError) || error instanceof ChangedLeaves) throw error;
    // Read it again with its hashes, to name the entry that was changed, or at least the bundle.
    try {
      const roots = await source.bundleRoots?.(checkpoint.size);
      await feed(await begin(trees, source, roots), source, true, host);
    } catch (found) {
      if (found instanceof ChangedLeaves) throw found;
    }
    throw error;
  }
}

const SAY_EVERY = 10_000;

/** Takes the hashes of what was pruned. */
async function begin(
  trees: readonly Checkpoint[],
  source: AuditLogSource,
  roots?: readonly Uint8Array[],
): Promise<WholeLog> {
  const log = new WholeLog(trees, HASHES, roots);
  const sizes = trees.map(({ size }) => size);
  for await (const bundle of source.pruned(log.size, sizes)) {
    if ('hashes' in bundle) for (const hash of bundle.hashes) log.addHash(hash);
    else if (!isAnyInside(log.next / BUNDLE_ENTRIES, sizes)) log.addRoot(bundle.root);
    else
      throw new Failure(
        'An earlier checkpoint ended among entries that were pruned: only the server can prove it.',
        EXIT_REFUSED,
      );
  }
  return log;
}

async function feed(log: WholeLog, source: AuditLogSource, withHashes: boolean, host: CommandProcess): Promise<Told> {
  let epoch: number | null = source.minimum > 0 ? null : 1;
  const rotations: KeyRotation[] = [];
  let next = SAY_EVERY;
  for await (const { received, bytes: all } of source.entries(log.size, withHashes)) {
    // Nearly no bundle contains such an event, and its bytes are searched faster than those of each entry.
    const isAnyAboutLog = isAboutLog(bytesOf(all));
    for (const { entry, hash } of received) {
      log.add(entry, hash);
      const bytes = isAnyAboutLog && bytesOf(entry);
      if (!bytes || !isAboutLog(bytes)) continue;
      const event = eventOf(bytes);
      if (event?.type === 'audit_log.epoch_started') epoch = event.data.epoch;
      if (event?.type === 'audit_log.key_rotated') rotations.push(event.data);
    }
    if (host.stderr.isTTY && log.next >= next) {
      host.stderr.write(`\r${log.next} of ${log.size} entries `);
      next = log.next + SAY_EVERY;
    }
  }
  if (host.stderr.isTTY) host.stderr.write('\r\u001B[K');
  log.end();
  return { epoch, rotations };
}

/** Whether an event about the log itself may be among these bytes. A path may contain this text, too. */
function isAboutLog(bytes: Buffer): boolean {
  return bytes.includes('"audit_log.');
}

function bytesOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}

/** An event about the log itself, and what it says. */
type AboutLog =
  | { readonly type: 'audit_log.epoch_started'; readonly data: { readonly epoch: number } }
  | { readonly type: 'audit_log.key_rotated'; readonly data: KeyRotation };

/** @returns null if it is no event: the entry is not verified yet */
function eventOf(entry: Buffer): AboutLog | null {
  try {
    const event = JSON.parse(entry.toString()) as { readonly data?: object } | null;
    return event?.data ? (event as AboutLog) : null;
  } catch {
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
  const { organization_id: id, size, continues, key_from: keyFrom, key_follows: follows, vkey, detail } = result;
  const key = follows ? `a new key, to which ${KEYS[keyFrom!]} handed over` : KEYS[keyFrom!];
  const advice = keyFrom === 'log' || follows ? ` Keep it, and give it with --vkey from now on: ${vkey}.` : '';
  if (result.pruned_below !== undefined) {
    return (
      `The entries ${result.pruned_below} to ${size! - 1} of the audit log of ${id} are as they were signed, with ` +
      `${key}.${sinceText(continues)}${advice} The ${result.pruned_below} entries before were ` +
      'pruned: their hashes lead to the signed root, but what they said can no longer be checked.\n'
    );
  }
  if (result.result === 'verified') {
    return `Verified ${size} entries of the audit log of ${id}, with ${key}.${sinceText(continues)}${advice}\n`;
  }
  const what = id === null ? 'The audit log' : `The audit log of ${id}`;
  return result.result === 'tampered'
    ? `${what} is NOT as it was signed: ${detail}.\n`
    : `${what} could not be checked in full: ${detail}\n`;
}

function sinceText(continues: number | undefined): string {
  return continues === undefined ? '' : ` It continues the ${continues} entries that were verified before.`;
}
