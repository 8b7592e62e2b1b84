import { describe, expect, it } from '@jest/globals';
import { noteSigner } from '../../test/support/note-signer.js';
import { EMPTY_ROOT, openCheckpoint, signCheckpoint } from './checkpoint.js';
import { signNote } from './note.js';
import { ProofError } from './proof-error.js';

const ORIGIN = 'example.com/log';
const signer = noteSigner(ORIGIN);
const ROOT = 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=';
const root = new Uint8Array(Buffer.from(ROOT, 'base64'));
const open = (text: string) => openCheckpoint(signNote(text, [signer]), [signer.key]);

describe('a checkpoint', () => {
  it('has the form of the specification, and is read as it was signed', () => {
    const checkpoint = { origin: ORIGIN, size: 20_852_163, root };
    const note = signCheckpoint(checkpoint, [signer]);
    expect(note.split('\n\n')[0]).toBe(`${ORIGIN}\n20852163\n${ROOT}`);
    expect(openCheckpoint(note, [signer.key])).toEqual(checkpoint);
  });

  it('of an empty log has the hash of nothing as its root', () => {
    expect(open(`${ORIGIN}\n0\n${Buffer.from(EMPTY_ROOT).toString('base64')}\n`).size).toBe(0);
    expect(() => open(`${ORIGIN}\n0\n${ROOT}\n`)).toThrow(ProofError);
  });

  it('may have extension lines, which we ignore', () => {
    expect(open(`${ORIGIN}\n5\n${ROOT}\nmore\n`)).toEqual({ origin: ORIGIN, size: 5, root });
  });

  it('of another log is rejected, even if a known key signed it', () => {
    expect(() => open(`example.com/other\n5\n${ROOT}\n`)).toThrow('is of the log example.com/other');
  });

  it('of another key of the same name is rejected', () => {
    const other = noteSigner(ORIGIN, 2);
    expect(() => openCheckpoint(signCheckpoint({ origin: ORIGIN, size: 5, root }, [other]), [signer.key])).toThrow(
      'no signature of a known key',
    );
  });

  it('signed by two keys opens with either, so that a key can be replaced', () => {
    const other = noteSigner(ORIGIN, 2);
    const note = signCheckpoint({ origin: ORIGIN, size: 5, root }, [signer, other]);
    for (const { key } of [signer, other]) expect(openCheckpoint(note, [key]).size).toBe(5);
  });

  it.each([
    ['without a root', `${ORIGIN}\n5\n`],
    ['without a size', `${ORIGIN}\n`],
    ['with an empty origin', `\n5\n${ROOT}\n`],
    ['with a signed size', `${ORIGIN}\n+5\n${ROOT}\n`],
    ['with a negative size', `${ORIGIN}\n-5\n${ROOT}\n`],
    ['with a leading zero', `${ORIGIN}\n05\n${ROOT}\n`],
    ['with a hexadecimal size', `${ORIGIN}\n0x5\n${ROOT}\n`],
    ['with a fractional size', `${ORIGIN}\n5.0\n${ROOT}\n`],
    ['with a size beyond exact numbers', `${ORIGIN}\n9007199254740993\n${ROOT}\n`],
    ['with a short root', `${ORIGIN}\n5\n${Buffer.from(root.subarray(1)).toString('base64')}\n`],
    ['with a root in another alphabet', `${ORIGIN}\n5\n${Buffer.from(root).toString('base64url')}\n`],
    ['with an empty extension line', `${ORIGIN}\n5\n${ROOT}\n\nmore\n`],
  ])('%s is rejected', (_, text) => {
    expect(() => open(text)).toThrow(ProofError);
  });
});
