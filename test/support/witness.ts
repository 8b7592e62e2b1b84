import { createHash, createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/**
 * A witness by the text of C2SP `tlog-witness`, `tlog-cosignature` and `signed-note`. It shares no code with ours, so that
 * both must have understood the specification in the same way.
 */

/** What a witness responds to `add-checkpoint`. */
export interface WitnessResponse {
  readonly status: number;
  readonly type?: string;
  readonly body: string;
}

interface Checkpoint {
  readonly text: string;
  readonly origin: string;
  readonly size: bigint;
  readonly root: Buffer;
  readonly signatures: readonly { readonly name: string; readonly bytes: Buffer }[];
}

class Rejected extends Error {
  constructor(readonly response: WitnessResponse) {
    super(response.body);
  }
}
const rejected = (status: number, body: string, type = 'text/plain') => new Rejected({ status, body, type });

/** The key of a log, from its `vkey`. */
function logKey(vkey: string) {
  const [, name, id, key] = /^([^+]+)\+([\da-f]{8})\+(.+)$/.exec(vkey)!;
  return { name, id: Buffer.from(id!, 'hex'), publicKey: ed25519Key(Buffer.from(key!, 'base64').subarray(1)) };
}

/** The DER of a public key of Ed25519 is this prefix and its 32 bytes. */
const DER = Buffer.from('302a300506032b6570032100', 'hex');
const ed25519Key = (raw: Buffer) => createPublicKey({ key: Buffer.concat([DER, raw]), format: 'der', type: 'spki' });

export class Witness {
  readonly #key: KeyObject;
  readonly #id: Buffer;
  readonly vkey: string;
  /** What it cosigned last of each log, by the origin. */
  readonly seen = new Map<string, { size: bigint; root: Buffer; note: string }>();
  /** Requests to `add-checkpoint` and their statuses. */
  readonly asked: { readonly body: string; readonly status: number }[] = [];
  /** Keys of the logs that it accepts. By default all. */
  knownLogs: readonly string[] | null = null;
  /** Lies, or delays: changes what it would respond. */
  tamper: (response: WitnessResponse) => WitnessResponse | Promise<WitnessResponse> = (response) => response;
  url = '';

  readonly #server = createServer((request, response) => void this.#serve(request, response));

  constructor(readonly name: string) {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(DER.length);
    this.#key = privateKey;
    const typed = Buffer.concat([Buffer.of(0x04), raw]);
    this.#id = createHash('sha256').update(`${name}\n`).update(typed).digest().subarray(0, 4);
    this.vkey = `${name}+${this.#id.toString('hex')}+${typed.toString('base64')}`;
  }

  static async start(name: string): Promise<Witness> {
    const witness = new Witness(name);
    await new Promise<void>((resolve) => witness.#server.listen(0, '127.0.0.1', resolve));
    witness.url = `http://127.0.0.1:${(witness.#server.address() as AddressInfo).port}/prefix`;
    return witness;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await buffer(request)).toString();
    const usual = this.#respond(request, body);
    this.asked.push({ body, status: usual.status });
    const { status, type = 'text/plain', body: text } = await this.tamper(usual);
    response.writeHead(status, { 'content-type': type }).end(text);
  }

  #respond(request: IncomingMessage, body: string): WitnessResponse {
    try {
      if (request.method !== 'POST' || request.url !== '/prefix/add-checkpoint') throw rejected(404, 'no such path');
      return { status: 200, body: this.addCheckpoint(body) };
    } catch (error) {
      if (error instanceof Rejected) return error.response;
      return { status: 400, body: String(error) };
    }
  }

  /** @returns the cosignature line */
  addCheckpoint(body: string): string {
    const end = body.indexOf('\n\n');
    const [first, ...lines] = body.slice(0, end).split('\n');
    const [, digits] = /^old (0|[1-9]\d*)$/.exec(first!) ?? [];
    if (end < 0 || digits === undefined || lines.length > 63) throw rejected(400, 'malformed');
    const old = BigInt(digits);
    const proof = lines.map((line) => hash(line));
    const note = body.slice(end + 2);
    const checkpoint = parse(note);
    this.#checkSignature(checkpoint);
    if (old > checkpoint.size) throw rejected(400, 'the old size is larger');
    const seen = this.seen.get(checkpoint.origin) ?? { size: 0n, root: sha256() };
    if (old !== seen.size) throw rejected(409, `${seen.size}\n`, 'text/x.tlog.size');
    if (checkpoint.size === 0n && !checkpoint.root.equals(sha256())) throw rejected(422, 'not the empty tree');
    if (!isConsistent(seen, checkpoint, proof)) throw rejected(422, 'inconsistent');
    const line = this.cosign(checkpoint.text, BigInt(Math.floor(Date.now() / 1000)));
    this.seen.set(checkpoint.origin, { size: checkpoint.size, root: checkpoint.root, note: `${note}${line}` });
    return line;
  }

  #checkSignature({ origin, text, signatures }: Checkpoint): void {
    if (!this.knownLogs) return;
    const keys = this.knownLogs.map(logKey).filter(({ name }) => name === origin);
    if (keys.length === 0) throw rejected(404, 'unknown log');
    const own = signatures.flatMap(({ name, bytes }) => {
      const key = keys.find((one) => one.name === name && one.id.equals(bytes.subarray(0, 4)));
      return key ? [verify(null, Buffer.from(text), key.publicKey, bytes.subarray(4))] : [];
    });
    if (own.length === 0 || own.includes(false)) throw rejected(403, 'no valid signature');
  }

  cosign(text: string, time: bigint): string {
    const timestamp = Buffer.alloc(8);
    timestamp.writeBigUInt64BE(time);
    const signature = sign(null, Buffer.from(`cosignature/v1\ntime ${time}\n${text}`), this.#key);
    return `— ${this.name} ${Buffer.concat([this.#id, timestamp, signature]).toString('base64')}\n`;
  }
}

function parse(note: string): Checkpoint {
  const end = note.lastIndexOf('\n\n');
  const text = note.slice(0, end + 1);
  const [origin, size, root] = text.split('\n') as [string, string, string];
  if (!/^(0|[1-9]\d*)$/.test(size)) throw rejected(400, 'malformed');
  const signatures = note
    .slice(end + 2)
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [dash, name, bytes] = line.split(' ') as [string, string, string];
      if (dash !== '—') throw rejected(400, 'malformed');
      return { name, bytes: Buffer.from(bytes, 'base64') };
    });
  return { text, origin, size: BigInt(size), root: hash(root), signatures };
}

function hash(line: string): Buffer {
  const bytes = Buffer.from(line, 'base64');
  if (bytes.length !== 32) throw rejected(400, 'malformed');
  return bytes;
}

const sha256 = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest();
const node = (left: Buffer, right: Buffer) => sha256(Buffer.of(1), left, right);

/** By recursion over the definition of `SUBPROOF` in RFC 6962, section 2.1.2, from the end of the proof. */
function isConsistent(
  old: { readonly size: bigint; readonly root: Buffer },
  { size, root }: { readonly size: bigint; readonly root: Buffer },
  proof: readonly Buffer[],
): boolean {
  if (old.size === 0n) return proof.length === 0;
  if (old.size === size) return proof.length === 0 && old.root.equals(root);
  const rest = [...proof];
  const roots = (m: bigint, n: bigint, isWhole: boolean): readonly [Buffer, Buffer] => {
    if (m === n) {
      const same = isWhole ? old.root : rest.pop()!;
      return [same, same];
    }
    let k = 1n;
    while (k * 2n < n) k *= 2n;
    const sibling = rest.pop()!;
    if (m <= k) {
      const [before, after] = roots(m, k, isWhole);
      return [before, node(after, sibling)];
    }
    const [before, after] = roots(m - k, n - k, false);
    return [node(sibling, before), node(sibling, after)];
  };
  try {
    const [before, after] = roots(old.size, size, true);
    return rest.length === 0 && before.equals(old.root) && after.equals(root);
  } catch {
    // The proof is too short.
    return false;
  }
}
