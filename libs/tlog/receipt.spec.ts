import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anyCharacter } from '../../test/support/any-text.js';
import { noteSigner } from '../../test/support/note-signer.js';
import { auditPath, leafHashOf, treeHash } from '../../test/support/reference-tree.js';
import { signCheckpoint } from './checkpoint.js';
import { ProofError } from './proof-error.js';
import { formatReceipt, verifyReceipt } from './receipt.js';

const signer = noteSigner('example.com/log');

function receiptOf(entries: readonly Uint8Array[], index: number): string {
  const leaves = entries.map(leafHashOf);
  const checkpoint = signCheckpoint({ origin: 'example.com/log', size: leaves.length, root: treeHash(leaves) }, [
    signer,
  ]);
  return formatReceipt({ entry: entries[index]!, index, proof: auditPath(index, leaves), checkpoint });
}

const entries = Array.from({ length: 7 }, (_, n) => new TextEncoder().encode(`{"entry":${n}}`));
const receipt = receiptOf(entries, 5);
const verify = (text: string) => verifyReceipt(text, [signer.key]);

describe('a receipt', () => {
  it('has the form of the specification', () => {
    const lines = receipt.split('\n');
    expect(lines.slice(0, 3)).toEqual([
      'c2sp.org/tlog-proof@v1',
      `extra ${Buffer.from(entries[5]!).toString('base64')}`,
      'index 5',
    ]);
    expect(lines.slice(3, 6).every((line) => /^[\w+/]{43}=$/.test(line))).toBe(true);
    expect(lines.slice(6, 9)).toEqual(['', 'example.com/log', '7']);
  });

  it('proves its entry, whatever the size of the log', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array(), { minLength: 1, maxLength: 40 }), fc.nat(39), (all, at) => {
        const index = at % all.length;
        const proven = verify(receiptOf(all, index));
        expect(proven).toMatchObject({ index, checkpoint: { origin: 'example.com/log', size: all.length } });
        expect([...proven.entry]).toEqual([...all[index]!]);
      }),
    );
  });

  it('proves nothing after the change, loss, repetition or exchange of any of its lines', () => {
    const lines = receipt.split('\n');
    expect(lines).toHaveLength(13);
    for (const [n, line] of lines.entries()) {
      const changed = [lines.toSpliced(n, 1), lines.toSpliced(n, 0, line), lines.with(n, `${line}x`)];
      for (let m = n + 1; m < lines.length; m++) changed.push(lines.with(n, lines[m]!).with(m, line));
      for (const other of changed) {
        // A signature may be there twice.
        const isSame =
          other.filter((text, at) => !text.startsWith('—') || text !== other[at - 1]).join('\n') === receipt;
        if (!isSame) expect(() => verify(other.join('\n'))).toThrow(ProofError);
      }
    }
  });

  it('proves nothing after the change of any character', () => {
    for (let at = 0; at < receipt.length; at++) {
      const other = receipt[at] === 'A' ? 'B' : 'A';
      expect(() => verify(receipt.slice(0, at) + other + receipt.slice(at + 1))).toThrow(ProofError);
    }
  });

  it('proves nothing with the proof, the index or the entry of another', () => {
    const other = receiptOf(entries, 4).split('\n');
    const lines = receipt.split('\n');
    expect(verify(receipt).index).toBe(5);
    for (const n of [1, 2, 3, 4, 5]) {
      const mixed = lines.with(n, other[n]!).join('\n');
      if (mixed !== receipt) expect(() => verify(mixed)).toThrow(ProofError);
    }
  });

  it('of another log proves nothing', () => {
    expect(() => verifyReceipt(receipt, [noteSigner('example.com/other').key])).toThrow(ProofError);
    expect(() => verifyReceipt(receipt, [noteSigner('example.com/log', 2).key])).toThrow(ProofError);
  });

  it('with more hashes than any tree has is rejected', () => {
    const hash = Buffer.alloc(32).toString('base64');
    expect(() => verify(receipt.replace('index 5\n', `index 5\n${`${hash}\n`.repeat(64)}`))).toThrow('too long');
  });

  it('never makes another error than ProofError of what a server sends', () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter, maxLength: 200 }), (text) => {
        expect(() => verify(text)).toThrow(ProofError);
        expect(() => verify(`c2sp.org/tlog-proof@v1\nextra \nindex 0\n\n${text}`)).toThrow(ProofError);
      }),
    );
  });
});
