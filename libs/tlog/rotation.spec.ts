import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anyCharacter } from '../../test/support/any-text.js';
import { noteSigner } from '../../test/support/note-signer.js';
import { signCheckpoint } from './checkpoint.js';
import { formatVkey, openNote, signNote, type NoteSigner } from './note.js';
import { ProofError } from './proof-error.js';
import { followRotations, openRotation, signRotation, type KeyRotation } from './rotation.js';

const LOG = 'example.com/log';
const [first, second, third, fourth] = [1, 2, 3, 4].map((number) => noteSigner(LOG, number)) as [
  NoteSigner,
  NoteSigner,
  NoteSigner,
  NoteSigner,
];
const note = signRotation(second.key, first);

const rotation = (from: NoteSigner, to: NoteSigner): KeyRotation => ({
  vkey: formatVkey(to.key),
  note: signRotation(to.key, from),
});
const loss = (to: NoteSigner): KeyRotation => ({ vkey: formatVkey(to.key) });
const follow = (trusted: readonly NoteSigner[], rotations: readonly KeyRotation[]) =>
  followRotations(
    trusted.map(({ key }) => key),
    rotations,
  ).map(formatVkey);
const vkeys = (...signers: NoteSigner[]) => signers.map(({ key }) => formatVkey(key));

describe('the rotation of a key', () => {
  it('names the next key, signed by the earlier one', () => {
    expect(openRotation(note, [first.key])).toEqual(second.key);
    expect(note.split('\n').slice(0, 3)).toEqual(['keyledger-key-rotation 1', formatVkey(second.key), '']);
  });

  it('is rejected after the change of any character', () => {
    for (let at = 0; at < note.length; at++) {
      const other = note[at] === 'A' ? 'B' : 'A';
      expect(() => openRotation(note.slice(0, at) + other + note.slice(at + 1), [first.key])).toThrow(ProofError);
    }
  });

  it.each([
    ['by an unknown key', signRotation(second.key, third)],
    ['by the next key itself', signRotation(second.key, second)],
    ['to a key of another log', signRotation(noteSigner('example.com/other', 2).key, first)],
    ['that is a checkpoint', signCheckpoint({ origin: LOG, size: 1, root: new Uint8Array(32) }, [first])],
    ['with another line', signNote(`keyledger-key-rotation 1\n${formatVkey(second.key)}\nmore\n`, [first])],
    ['of another version', signNote(`keyledger-key-rotation 2\n${formatVkey(second.key)}\n`, [first])],
  ])('%s is rejected', (_, other) => {
    expect(() => openRotation(other, [first.key])).toThrow(ProofError);
  });

  it('is no checkpoint', () => {
    expect(openNote(note, [first.key]).text).not.toMatch(/^[^\n]+\n\d+\n/);
  });
});

describe('the keys that follow from a trusted key', () => {
  const all = [rotation(first, second), rotation(second, third), rotation(third, fourth)];

  it('are those of all later rotations, in their order', () => {
    expect(follow([first], all)).toEqual(vkeys(first, second, third, fourth));
    expect(follow([third], all)).toEqual(vkeys(third, fourth));
    expect(follow([fourth], all)).toEqual(vkeys(fourth));
    expect(follow([first], [])).toEqual(vkeys(first));
  });

  it('end where a rotation is missing or not signed by one of them', () => {
    expect(follow([first], all.toSpliced(1, 1))).toEqual(vkeys(first, second));
    expect(follow([first], all.with(1, rotation(fourth, third)))).toEqual(vkeys(first, second));
    expect(follow([first], [{ vkey: formatVkey(third.key), note }])).toEqual(vkeys(first));
  });

  it('end where a key is compromised, unless the key after it is trusted', () => {
    const rotations = [rotation(first, second), loss(third), rotation(third, fourth)];
    expect(follow([first], rotations)).toEqual([]);
    expect(follow([third], rotations)).toEqual(vkeys(third, fourth));
    expect(follow([fourth], rotations)).toEqual(vkeys(fourth));
    // What the compromised key signs later counts for nothing.
    expect(follow([first], [loss(third), rotation(first, fourth)])).toEqual([]);
  });

  it('never grow by what a server invents', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: anyCharacter, maxLength: 200 })), (notes) => {
        const invented = notes.map((text) => ({ vkey: formatVkey(second.key), note: text }));
        expect(follow([first], invented)).toEqual(vkeys(first));
      }),
    );
  });
});
