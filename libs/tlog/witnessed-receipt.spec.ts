import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { noteSigner } from '../../test/support/note-signer.js';
import { auditPath, leafHashOf, treeHash } from '../../test/support/reference-tree.js';
import { Witness } from '../../test/support/witness.js';
import { formatCheckpoint, signCheckpoint } from './checkpoint.js';
import { parseWitnessVkey } from './cosignature.js';
import type { NoteSigner } from './note.js';
import { ProofError } from './proof-error.js';
import { formatReceipt } from './receipt.js';
import {
  formatWitnessedReceipt,
  headEntry,
  headsOrigin,
  isWitnessed,
  verifyWitnessedReceipt,
} from './witnessed-receipt.js';

const ORIGIN = 'example.com/0123/org_1';
const HEADS = 'example.com/0123/heads';
const bytes = (text: string) => new TextEncoder().encode(text);
const witnesses = ['one', 'two'].map((name) => new Witness(`${name}.example/w`));
const policy = { witnesses: witnesses.map(({ vkey }) => parseWitnessVkey(vkey)), quorum: 2 };

interface Parts {
  readonly entries: readonly Uint8Array[];
  readonly index: number;
  /** Heads of other logs around that of this one. */
  readonly before: number;
  readonly after: number;
  readonly signer: NoteSigner;
  readonly headsSigner: NoteSigner;
  readonly cosigners: readonly Witness[];
}
const usual: Parts = {
  entries: Array.from({ length: 7 }, (_, n) => bytes(`{"entry":${n}}`)),
  index: 5,
  before: 3,
  after: 2,
  signer: noteSigner(ORIGIN),
  headsSigner: noteSigner(HEADS),
  cosigners: witnesses,
};

function receiptOf(changed: Partial<Parts> = {}): string {
  const { entries, index, before, after, signer, headsSigner, cosigners } = { ...usual, ...changed };
  const leaves = entries.map(leafHashOf);
  const head = { origin: ORIGIN, size: leaves.length, root: treeHash(leaves) };
  const inner = formatReceipt({
    entry: entries[index]!,
    index,
    proof: auditPath(index, leaves),
    checkpoint: signCheckpoint(head, [signer]),
  });
  const others = (count: number) => Array.from({ length: count }, (_, n) => leafHashOf(bytes(`${count} ${n}`)));
  const heads = [...others(before), leafHashOf(headEntry(head)), ...others(after)];
  const cosigned = { origin: HEADS, size: heads.length, root: treeHash(heads) };
  const text = formatCheckpoint(cosigned);
  const lines = cosigners.map((witness) => witness.cosign(text, 1_700_000_000n));
  return formatWitnessedReceipt(inner, {
    index: before,
    proof: auditPath(before, heads),
    checkpoint: signCheckpoint(cosigned, [headsSigner]) + lines.join(''),
  });
}

const receipt = receiptOf();
const verify = (text: string) => verifyWitnessedReceipt(text, [usual.signer.key], policy);

describe('a receipt with cosignatures', () => {
  it('leads from the entry to the cosignatures of the witnesses', () => {
    const proven = verify(receipt);
    expect(proven).toMatchObject({ index: 5, checkpoint: { origin: ORIGIN, size: 7 } });
    expect(Buffer.from(proven.entry).toString()).toBe('{"entry":5}');
    expect(proven.cosignatures.map(({ witness, time }) => [witness.name, time])).toEqual([
      ['one.example/w', 1_700_000_000],
      ['two.example/w', 1_700_000_000],
    ]);
    expect(isWitnessed(receipt)).toBe(true);
    expect(receipt.split('\n')[0]).toBe('c2sp.org/tlog-proof@v1');
  });

  it('proves its entry, whatever the sizes of both logs', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.nat(19), fc.nat(20), fc.nat(20), (size, at, before, after) => {
        const entries = Array.from({ length: size }, (_, n) => bytes(`entry ${n}`));
        const index = at % size;
        expect(verify(receiptOf({ entries, index, before, after }))).toMatchObject({ index, checkpoint: { size } });
      }),
      { numRuns: 30 },
    );
  });

  it('proves nothing after the change of any character', () => {
    // The second line is the inner receipt in base64, which is a text in itself: receipt.spec.ts changes each of its characters.
    const [first, inner] = receipt.split('\n') as [string, string];
    const isInside = (at: number) => at > first.length + 'extra '.length && at <= first.length + inner.length;
    for (let at = 0; at < receipt.length; at += isInside(at) ? 5 : 1) {
      const other = receipt[at] === 'A' ? 'B' : 'A';
      expect(() => verify(receipt.slice(0, at) + other + receipt.slice(at + 1))).toThrow(ProofError);
    }
  });

  it('proves nothing after the loss of any line', () => {
    const lines = receipt.split('\n');
    for (let n = 0; n < lines.length; n++) expect(() => verify(lines.toSpliced(n, 1).join('\n'))).toThrow(ProofError);
  });

  it.each<[string, Partial<Parts>, RegExp]>([
    ['of an audit log that another key signed', { signer: noteSigner(ORIGIN, 2) }, /no signature of a known key/],
    ['of a log of heads that another key signed', { headsSigner: noteSigner(HEADS, 2) }, /no signature of a known key/],
    ['of another log of heads', { headsSigner: noteSigner('example.com/9/heads') }, /no signature of a known key/],
    ['without enough cosignatures', { cosigners: witnesses.slice(1) }, /1 cosigned, and 2 are needed/],
    ['with the cosignatures of others', { cosigners: [new Witness('one.example/w'), witnesses[1]!] }, /1 cosigned/],
  ])('%s proves nothing', (_, changed, reason) => {
    expect(() => verify(receiptOf(changed))).toThrow(reason);
  });

  it('proves no checkpoint that is not in the log of heads', () => {
    const other = receiptOf({ entries: usual.entries.slice(0, 6) });
    // The inner receipt of one with the outer proof of the other.
    const mixed = receipt.split('\n').with(1, other.split('\n')[1]!).join('\n');
    expect(() => verify(mixed)).toThrow('The inclusion proof of leaf 3 is wrong');
  });

  it('is no plain receipt, and a plain one has no cosignatures', () => {
    const plain = Buffer.from(receipt.split('\n')[1]!.slice('extra '.length), 'base64').toString();
    expect(isWitnessed(plain)).toBe(false);
    expect(() => verify(plain)).toThrow('does not lead to a cosignature');
    expect(() => isWitnessed('something else')).toThrow(ProofError);
  });
});

it('all logs of a deployment share a log of heads', () => {
  expect(headsOrigin(ORIGIN)).toBe(HEADS);
  expect(headsOrigin('keys.example.com/path/0123/org_2')).toBe('keys.example.com/path/0123/heads');
});
