import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { noteSigner } from '../../test/support/note-signer.js';
import { consistencyPath, leafHashOf, treeHash } from '../../test/support/reference-tree.js';
import { Witness as Server, type WitnessResponse } from '../../test/support/witness.js';
import { signCheckpoint } from '#libs/tlog/checkpoint.js';
import { parseWitnessVkey } from '#libs/tlog/cosignature.js';
import { formatVkey } from '#libs/tlog/note.js';
import { askWitness, NotCosigned, type ToCosign } from './witness-client.js';

const ORIGIN = 'example.com/0123/heads';
const signer = noteSigner(ORIGIN);
const leaves = (texts: readonly string[]) => texts.map((text) => leafHashOf(Buffer.from(text)));
const LOG = leaves(Array.from({ length: 40 }, (_, n) => `head ${n}`));
/** Another log of the same deployment, which differs from leaf 9 on. */
const FORK = [...LOG.slice(0, 9), ...leaves(Array.from({ length: 31 }, (_, n) => `other ${n}`))];

let server: Server;
let stop: AbortController;

beforeEach(async () => {
  server = await Server.start('witness.example/w');
  server.knownLogs = [formatVkey(signer.key)];
  stop = new AbortController();
});
afterEach(() => server.stop());

function toCosign(size: number, log = LOG, signers = [signer]): ToCosign {
  const tree = log.slice(0, size);
  return {
    note: signCheckpoint({ origin: signers[0]!.key.name, size, root: treeHash(tree) }, signers),
    size,
    proofFrom: (from) => Promise.resolve(from === size ? [] : consistencyPath(from, tree)),
    stop: stop.signal,
  };
}
const ask = (wanted: ToCosign, known: number) =>
  askWitness({ key: parseWitnessVkey(server.vkey), vkey: server.vkey, url: server.url }, wanted, known);
const statuses = () => server.asked.map(({ status }) => status);

describe('a witness', () => {
  it('cosigns each larger tree, from whatever size it has seen', async () => {
    let known = 0;
    for (const size of [1, 2, 3, 7, 8, 9, 16, 31, 40]) {
      const { witness, time } = await ask(toCosign(size), known);
      expect(witness.name).toBe('witness.example/w');
      expect(Math.abs(time - Date.now() / 1000)).toBeLessThan(60);
      expect(server.seen.get(ORIGIN)!.size).toBe(BigInt(size));
      known = size;
    }
    expect(new Set(statuses())).toEqual(new Set([200]));
    await ask(toCosign(40), 40);
  });

  it('tells the size that it has seen, if we know another one', async () => {
    await ask(toCosign(5), 0);
    await ask(toCosign(9), 0);
    await ask(toCosign(20), 2);
    // More than the log has: a copy of the database that lags.
    await ask(toCosign(30), 33);
    expect(statuses()).toEqual([200, 409, 200, 409, 200, 409, 200]);
  });

  it('cosigns while one key of the log replaces another', async () => {
    const next = noteSigner(ORIGIN, 2);
    await ask(toCosign(5, LOG, [next, signer]), 0);
    server.knownLogs = [formatVkey(next.key)];
    await ask(toCosign(6, LOG, [next, signer]), 5);
    await ask(toCosign(7, LOG, [next]), 6);
    await expect(ask(toCosign(8, LOG, [signer]), 7)).rejects.toThrow('does not accept the signature');
  });

  it('cosigns no fork of the log', async () => {
    await ask(toCosign(20), 0);
    for (const size of [20, 21, 33, 40]) {
      await expect(ask(toCosign(size, FORK), 20)).rejects.toThrow('has seen another log of heads');
    }
    // The proof of the right log does not help a wrong root.
    const { proofFrom } = toCosign(30);
    await expect(ask({ ...toCosign(30, FORK), proofFrom }, 20)).rejects.toThrow('has seen another log of heads');
    expect(server.seen.get(ORIGIN)!.size).toBe(20n);
  });

  it('cosigns no smaller tree', async () => {
    await ask(toCosign(20), 0);
    await expect(ask(toCosign(19), 0)).rejects.toThrow('has cosigned 20 entries of the log of heads, which has 19');
    await expect(ask(toCosign(19), 20)).rejects.toThrow('has cosigned 20 entries of the log of heads, which has 19');
  });

  it('cosigns no log that it does not know', async () => {
    await expect(ask(toCosign(3, LOG, [noteSigner('example.com/9/heads')]), 0)).rejects.toThrow('enrol it there');
    await expect(ask(toCosign(3, LOG, [noteSigner(ORIGIN, 2)]), 0)).rejects.toThrow('does not accept the signature');
  });
});

describe('what a witness responds is no cosignature if it', () => {
  const other = new Server('witness.example/w');
  const text = (note: string) => note.slice(0, note.indexOf('\n\n') + 1);
  const now = BigInt(Math.floor(Date.now() / 1000));
  const body = (response: WitnessResponse, wanted: string) => ({ ...response, body: wanted });
  const conflict = (wanted: string, type = 'text/x.tlog.size') => ({ status: 409, type, body: wanted });

  it.each<[string, (response: WitnessResponse) => WitnessResponse, RegExp]>([
    ['is empty', (usual) => body(usual, ''), /another key/],
    ['is another text', (usual) => body(usual, 'thank you\n'), /something else/],
    ['has no line break', (usual) => body(usual, usual.body.trimEnd()), /something else/],
    [
      'is the cosignature of another witness',
      (usual) => body(usual, other.cosign(text(toCosign(5).note), now)),
      /another key/,
    ],
    [
      'is a cosignature of another tree',
      (usual) => body(usual, server.cosign(text(toCosign(6).note), now)),
      /is wrong/,
    ],
    ['is a cosignature with a changed time', (usual) => body(usual, withBit(usual.body, 4 + 7)), /is wrong/],
    ['is a cosignature with a changed signature', (usual) => body(usual, withBit(usual.body, 4 + 8 + 20)), /is wrong/],
    [
      'has a wrong clock',
      (usual) => body(usual, server.cosign(text(toCosign(5).note), now + 100_000n)),
      /clock that differs/,
    ],
    [
      'has a clock beyond all dates',
      (usual) => body(usual, server.cosign(text(toCosign(5).note), 2n ** 52n)),
      /clock that differs/,
    ],
    ['is very long', (usual) => body(usual, usual.body.repeat(1_000)), /more than 16384 bytes/],
    ['is an error', () => ({ status: 500, body: 'oops' }), /status 500/],
    ['is a redirection', () => ({ status: 307, body: '' }), /status 307|does not respond/],
    ['is a demand to ask less', () => ({ status: 429, body: '' }), /raise WITNESS_SECONDS/],
    ['is a conflict without a size', () => conflict(''), /status 409 without the size/],
    ['is a conflict with another type', () => conflict('3\n', 'text/plain'), /status 409 without the size/],
    ['is a conflict with a strange size', () => conflict('03\n'), /status 409 without the size/],
    ['is a conflict with a negative size', () => conflict('-1\n'), /status 409 without the size/],
    ['is a conflict with a larger size', () => conflict('6\n'), /has cosigned 6 entries .* which has 5/],
    ['is a conflict again and again', () => conflict('3\n'), /status 409/],
  ])('%s', async (_, tamper, reason) => {
    server.tamper = tamper;
    const outcome = ask(toCosign(5), 0);
    await expect(outcome).rejects.toThrow(NotCosigned);
    await expect(outcome).rejects.toThrow(reason);
    expect(server.asked.length).toBeLessThanOrEqual(2);
  });

  function withBit(line: string, at: number): string {
    const [dash, name, encoded] = line.trimEnd().split(' ') as [string, string, string];
    const bytes = Buffer.from(encoded, 'base64');
    bytes[at]! ^= 1;
    return `${dash} ${name} ${bytes.toString('base64')}\n`;
  }

  it('does not come', async () => {
    server.tamper = () => new Promise(() => undefined);
    const outcome = ask(toCosign(5), 0);
    outcome.catch(() => undefined);
    while (server.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    stop.abort();
    await expect(outcome).rejects.toThrow('does not respond');
  });
});
