import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anyCharacter } from '../../test/support/any-text.js';
import { noteSigner } from '../../test/support/note-signer.js';
import { Witness } from '../../test/support/witness.js';
import { signCheckpoint } from './checkpoint.js';
import { openCosignatures, parseWitnessVkey, requireQuorum } from './cosignature.js';
import { formatVkey } from './note.js';
import { ProofError } from './proof-error.js';

const ORIGIN = 'example.com/heads';
const signer = noteSigner(ORIGIN);
const checkpoint = signCheckpoint({ origin: ORIGIN, size: 5, root: new Uint8Array(32).fill(7) }, [signer]);
const text = checkpoint.slice(0, checkpoint.indexOf('\n\n') + 1);
const [one, two, stranger] = ['one', 'two', 'stranger'].map((name) => new Witness(`${name}.example/w`)) as [
  Witness,
  Witness,
  Witness,
];
const keys = [one, two].map(({ vkey }) => parseWitnessVkey(vkey));
const TIME = 1_679_315_147n;
const note = checkpoint + one.cosign(text, TIME);

describe('a cosignature', () => {
  it('is opened with its witness and its time, and other signatures are ignored', () => {
    const line = one.cosign(text, TIME).trimEnd();
    expect(openCosignatures(note, keys)).toEqual([{ witness: keys[0], time: Number(TIME), line }]);
    const all = note + stranger.cosign(text, TIME) + two.cosign(text, 1n);
    expect(openCosignatures(all, keys).map(({ witness, time }) => [witness.name, time])).toEqual([
      ['one.example/w', Number(TIME)],
      ['two.example/w', 1],
    ]);
    expect(openCosignatures(checkpoint, keys)).toEqual([]);
  });

  it('is the one of the specification', () => {
    // The key of the example is not published, but its name, key id and time are.
    const [, encoded] =
      /w1 (\S+)/.exec(
        '— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==',
      ) ?? [];
    const bytes = Buffer.from(encoded!, 'base64');
    expect([bytes.length, bytes.readBigUInt64BE(4)]).toEqual([4 + 8 + 64, 1_679_315_147n]);
    const own = Buffer.from(one.cosign(text, TIME).split(' ')[2]!, 'base64');
    expect([own.length, own.readBigUInt64BE(4)]).toEqual([4 + 8 + 64, TIME]);
  });

  it('is rejected after the change of any character of the checkpoint or of the cosignature', () => {
    const cosignature = note.lastIndexOf('— ');
    for (let at = 0; at < note.length; at++) {
      // The log's own signature is not part of it.
      if (at > text.length && at < cosignature) continue;
      const changed = note.slice(0, at) + (note[at] === 'A' ? 'B' : 'A') + note.slice(at + 1);
      expect(() => requireQuorum(changed, { witnesses: keys, quorum: 1 })).toThrow(ProofError);
    }
  });

  it('is rejected with another time, without one, or with one beyond all numbers', () => {
    const line = one.cosign(text, TIME);
    const bytes = Buffer.from(line.split(' ')[2]!, 'base64');
    const withBytes = (changed: Buffer) => `${checkpoint}— ${one.name} ${changed.toString('base64')}\n`;
    for (let at = 4; at < 12; at++) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1;
      expect(() => openCosignatures(withBytes(changed), keys)).toThrow('The cosignature of one.example/w');
    }
    for (const time of [0n, 2n ** 63n, 2n ** 64n - 1n]) {
      expect(() => openCosignatures(checkpoint + one.cosign(text, time), keys)).toThrow(ProofError);
    }
    expect(() => openCosignatures(withBytes(bytes.subarray(0, -1)), keys)).toThrow(ProofError);
    expect(() => openCosignatures(withBytes(Buffer.concat([bytes, Buffer.of(0)])), keys)).toThrow(ProofError);
  });

  it('of another checkpoint, or by a log, is none', () => {
    const other = signCheckpoint({ origin: ORIGIN, size: 6, root: new Uint8Array(32).fill(7) }, [signer]);
    expect(() => openCosignatures(other + one.cosign(text, TIME), keys)).toThrow(ProofError);
    const asLog = noteSigner(one.name);
    expect(
      openCosignatures(signCheckpoint({ origin: ORIGIN, size: 5, root: new Uint8Array(32) }, [asLog]), keys),
    ).toEqual([]);
    expect(() => parseWitnessVkey(formatVkey(asLog.key))).toThrow('has the type 1, not 4');
  });

  it('never makes another error than ProofError of what a witness sends', () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter, maxLength: 200 }), fc.uint8Array({ maxLength: 90 }), (any, bytes) => {
        expectProofErrorOrNothing(() => openCosignatures(checkpoint + any, keys));
        const encoded = Buffer.concat([Buffer.from(keys[0]!.id, 'hex'), bytes]).toString('base64');
        expect(() => openCosignatures(`${checkpoint}— ${one.name} ${encoded}\n`, keys)).toThrow(ProofError);
        expect(() => parseWitnessVkey(any)).toThrow(ProofError);
      }),
    );
  });
});

function expectProofErrorOrNothing(work: () => unknown): void {
  try {
    expect(work()).toEqual([]);
  } catch (error) {
    expect(error).toBeInstanceOf(ProofError);
  }
}

describe('a quorum', () => {
  it('counts each witness once, and only known ones', () => {
    const policy = (quorum: number) => ({ witnesses: keys, quorum });
    const twice = note + one.cosign(text, TIME + 1n) + stranger.cosign(text, TIME);
    expect(requireQuorum(twice, policy(1))).toHaveLength(1);
    expect(() => requireQuorum(twice, policy(2))).toThrow('Of the known witnesses, 1 cosigned, and 2 are needed');
    expect(requireQuorum(twice + two.cosign(text, TIME), policy(2))).toHaveLength(2);
  });
});
