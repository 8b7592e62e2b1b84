import { hash } from 'node:crypto';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Tree } from '#libs/tlog/proofs.js';

/**
 * The trees that were anchored, by the bare UUIDs of their organizations: the largest of each log, which every later
 * checkpoint must continue.
 */
export type Heads = ReadonlyMap<string, Tree>;

export interface Anchor {
  /** Random: it tells this file from those of other deployments. */
  readonly id: string;
  readonly epoch: number;
  /** The number of groups that were written. */
  readonly sequence: number;
  readonly heads: Heads;
  /** Of logs without a head in this epoch: the last heads of the earlier epoch. */
  readonly earlier: Heads;
}

const FIRST_LINE = /^keyledger-anchor 1 ([\da-f]{32}) (\d{1,9})$/;
const HEAD_LINE = /^(head|earlier) ([\da-f-]{36}) (\d{1,16}) ([\da-f]{64})$/;
const GROUP_LINE = /^group (\d{1,16}) ([\da-f]{64})$/;
/** A file is rewritten if it has more than this, and four times what its heads need. */
const COMPACT_BYTES = 4_000_000;
const LINE_BYTES = 130;
/** Only the operator's own processes may read the sizes of customers' logs. */
const MODE = 0o600;

interface Parsed {
  readonly anchor: Anchor;
  /** Everything after is the rest of a write that a crash interrupted. */
  readonly validBytes: number;
  /** Of everything before, by which the next group continues the file. */
  readonly chain: string;
}

/**
 * A file outside the database that remembers the trees that were signed. It consists of groups of lines. The last line
 * of a group has a hash over the file so far, so a group is whole or does not count. Callers hold the lock of the anchor
 * in the database: several nodes may share the file.
 */
export class AnchorFile {
  #parsed: Parsed | null = null;
  /** What the file system said of the file when it was read or written. */
  #seen = '';

  constructor(private readonly path: string) {}

  /**
   * Reads the file if another process has written it.
   * @returns null if there is no file
   * @throws Error if it cannot be read, or is not an anchor
   */
  async read(): Promise<Anchor | null> {
    const seen = await this.#stamp();
    if (seen === '' || seen !== this.#seen)
      this.#parsed = seen === '' ? null : parse(await readFile(this.path, 'utf8'));
    this.#seen = seen;
    return this.#parsed?.anchor ?? null;
  }

  /** Writes a new file. It is on the disk, whole, before this returns. */
  async create(anchor: Anchor): Promise<void> {
    await this.#replace(textOf(anchor));
  }

  /** Adds a group of heads, after {@link read}. It is on the disk before this returns. */
  async append(heads: Heads): Promise<void> {
    const { anchor, validBytes, chain } = this.#parsed!;
    const sequence = anchor.sequence + 1;
    const next = { ...anchor, sequence, heads: new Map([...anchor.heads, ...heads]) };
    const live = (next.heads.size + next.earlier.size) * LINE_BYTES;
    if (validBytes > Math.max(COMPACT_BYTES, 4 * live)) {
      await this.#replace(textOf(next));
      return;
    }
    const group = groupOf(chain, sequence, [...heads].map(lineOf('head')));
    // If this fails, the file may have anything: it is read again.
    this.#seen = '';
    const file = await open(this.path, 'r+');
    try {
      await file.truncate(validBytes);
      await file.write(group.text, validBytes);
      await file.sync();
    } finally {
      await file.close();
    }
    this.#parsed = { anchor: next, validBytes: validBytes + Buffer.byteLength(group.text), chain: group.chain };
    this.#seen = await this.#stamp();
  }

  /** A crash leaves the old file or the new one. */
  async #replace(text: string): Promise<void> {
    this.#seen = '';
    const fresh = `${this.path}.new`;
    // A crash may have left a file there, and another user a symbolic link. Do not write through either.
    await rm(fresh, { force: true });
    const file = await open(fresh, 'wx', MODE);
    try {
      await file.write(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, this.path);
    await syncDirectory(dirname(this.path));
    await this.read();
  }

  async #stamp(): Promise<string> {
    try {
      const { ino, size, mtimeNs } = await stat(this.path, { bigint: true });
      return `${ino} ${size} ${mtimeNs}`;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
      throw error;
    }
  }
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function parse(text: string): Parsed {
  const lines = text.split('\n');
  const [, id, epoch] = FIRST_LINE.exec(lines[0]!) ?? [];
  if (!id || !epoch || lines.length < 2) throw new Error('it does not begin as the anchor of an audit log does');
  const heads = new Map<string, Tree>();
  const earlier = new Map<string, Tree>();
  let parsed = { sequence: -1, validBytes: 0, chain: chainOf('', lines[0]!) };
  let bytes = lines[0]!.length + 1;
  let group: string[] = [];
  // The text after the last line break is no line.
  for (const line of lines.slice(1, -1)) {
    bytes += Buffer.byteLength(line) + 1;
    const [, sequence, hashed] = GROUP_LINE.exec(line) ?? [];
    if (!sequence) {
      group.push(line);
      continue;
    }
    const chain = chainOf(parsed.chain, ...group, sequence);
    const trees = group.map((own) => HEAD_LINE.exec(own));
    if (chain !== hashed || trees.includes(null)) break;
    for (const [, kind, organization, size, root] of trees as RegExpExecArray[]) {
      const tree = { size: Number(size), root: Buffer.from(root!, 'hex') };
      (kind === 'head' ? heads : earlier).set(organization!, tree);
    }
    parsed = { sequence: Number(sequence), validBytes: bytes, chain };
    group = [];
  }
  const { sequence, validBytes, chain } = parsed;
  if (sequence < 0) throw new Error('its beginning is damaged');
  return { anchor: { id, epoch: Number(epoch), sequence, heads, earlier }, validBytes, chain };
}

function textOf({ id, epoch, sequence, heads, earlier }: Anchor): string {
  const first = `keyledger-anchor 1 ${id} ${epoch}`;
  const lines = [...[...heads].map(lineOf('head')), ...[...earlier].map(lineOf('earlier'))];
  return `${first}\n${groupOf(chainOf('', first), sequence, lines).text}`;
}

function lineOf(kind: 'head' | 'earlier') {
  return ([organization, { size, root }]: readonly [string, Tree]) =>
    `${kind} ${organization} ${size} ${Buffer.from(root).toString('hex')}`;
}

function groupOf(chain: string, sequence: number, lines: readonly string[]): { text: string; chain: string } {
  const next = chainOf(chain, ...lines, String(sequence));
  return { text: [...lines, `group ${sequence} ${next}`, ''].join('\n'), chain: next };
}

function chainOf(...texts: string[]): string {
  return hash('sha256', texts.join('\n'));
}
