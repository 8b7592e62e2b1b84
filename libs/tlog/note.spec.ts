import { describe, expect, it } from '@jest/globals';
import { ed25519 } from '@noble/curves/ed25519.js';
import fc from 'fast-check';
import { anyCharacter } from '../../test/support/any-text.js';
import { formatVkey, openNote, parseVkey, signNote, verifierKey } from './note.js';
import { ProofError } from './proof-error.js';

/** The example of Go's `sumdb/note`, with its private key. */
const TEXT = `If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n`;
const PETER = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const ENOCH = 'EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop';
const PETERS_SEED = Buffer.from('AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz', 'base64').subarray(1);
const PETERS_LINE =
  '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n';
const ENOCHS_LINE =
  '— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n';

const peter = parseVkey(PETER);
const enoch = parseVkey(ENOCH);

describe('a key of notes', () => {
  it.each([PETER, ENOCH, 'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8'])(
    '%s is read and written',
    (vkey) => expect(formatVkey(parseVkey(vkey))).toBe(vkey),
  );

  it('is rejected if anything in it is changed or missing', () => {
    for (let from = 0; from < PETER.length; from++) {
      for (let below = from + 1; below <= PETER.length; below++) {
        if (below - from < PETER.length) expect(() => parseVkey(PETER.slice(from, below))).toThrow(ProofError);
      }
      const next = String.fromCharCode(PETER.charCodeAt(from) + 1);
      expect(() => parseVkey(PETER.slice(0, from) + next + PETER.slice(from + 1))).toThrow(ProofError);
    }
  });

  it.each([
    // Their ids are right: the first key is too long, the second of an unknown type.
    'PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==',
    'PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW',
    `${PETER}\n`,
    ` ${PETER}`,
  ])('%j is rejected', (vkey) => expect(() => parseVkey(vkey)).toThrow(ProofError));

  it.each(['', 'a b', 'a\u00a0b', 'a\u2028b', 'a+b', 'a\nb', '\ud800'])('has no name %j', (name) => {
    expect(() => verifierKey(name, peter.publicKey)).toThrow(ProofError);
  });
});

describe('a signed note', () => {
  it('is the one that other programs write with the same key', () => {
    const sign = (message: Uint8Array) => ed25519.sign(message, PETERS_SEED);
    expect(signNote(TEXT, [{ key: peter, sign }])).toBe(`${TEXT}\n${PETERS_LINE}`);
  });

  it('is opened by each known key, and unknown signatures are ignored', () => {
    expect(openNote(`${TEXT}\n${PETERS_LINE}${ENOCHS_LINE}`, [peter])).toEqual({ text: TEXT, signedBy: [peter] });
    expect(openNote(`${TEXT}\n${PETERS_LINE}${ENOCHS_LINE}`, [enoch, peter])).toEqual({
      text: TEXT,
      signedBy: [peter, enoch],
    });
    expect(openNote(`${TEXT}\n${PETERS_LINE.repeat(2)}`, [peter]).signedBy).toEqual([peter]);
  });

  it('is rejected without a signature of a known key', () => {
    expect(() => openNote(`${TEXT}\n${PETERS_LINE}`, [])).toThrow(ProofError);
    expect(() => openNote(`${TEXT}\n${ENOCHS_LINE}`, [peter])).toThrow(ProofError);
    // The same name with another id is another key.
    expect(() => openNote(`${TEXT}\n${PETERS_LINE}`, [verifierKey(peter.name, enoch.publicKey)])).toThrow(ProofError);
  });

  it('is rejected as a whole if one signature of a known key is wrong', () => {
    const wrong = PETERS_LINE.replace('x08go/ZJ', 'x08go/ZK');
    expect(() => openNote(`${TEXT}\n${ENOCHS_LINE}${wrong}`, [peter, enoch])).toThrow('PeterNeumann+c74f20a3 is wrong');
  });

  it('is rejected if any character of its text or its only signature is changed, added or removed', () => {
    const note = `${TEXT}\n${PETERS_LINE}`;
    for (let at = 0; at < note.length; at++) {
      const other = note[at] === 'A' ? 'B' : 'A';
      for (const changed of [
        note.slice(0, at) + other + note.slice(at + 1),
        note.slice(0, at) + note.slice(at + 1),
        note.slice(0, at) + other + note.slice(at),
      ]) {
        expect(() => openNote(changed, [peter])).toThrow(ProofError);
      }
    }
  });

  it.each([
    ['no signatures', TEXT],
    ['no signature line', `${TEXT}\n`],
    ['no last line break', `${TEXT}\n${PETERS_LINE.slice(0, -1)}`],
    ['a line after the signatures', `${TEXT}\n${PETERS_LINE}More.\n`],
    ['a space in a name', `${TEXT}\n${PETERS_LINE}${PETERS_LINE.replace('Neu', ' ')}`],
    ['a hyphen for the dash', `${TEXT}\n${PETERS_LINE.replace('—', '-')}`],
    ['carriage returns', `${TEXT}\n${PETERS_LINE}`.replaceAll('\n', '\r\n')],
    ['more than 100 signatures', `${TEXT}\n${PETERS_LINE.repeat(101)}`],
    ['a signature without bytes', `${TEXT}\n${PETERS_LINE}— EnochRoot rwz+eA==\n`],
    ['base64 without padding', `${TEXT}\n${PETERS_LINE.replace('=', '')}`],
    ['base64 with unused bits', `${TEXT}\n${PETERS_LINE.replace('AM=', 'AN=')}`],
  ])('with %s is rejected', (_, note) => {
    expect(() => openNote(note, [peter])).toThrow(ProofError);
  });

  it('never makes another error than ProofError of what a server sends', () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter, maxLength: 300 }), (note) => {
        expect(() => openNote(note, [peter])).toThrow(ProofError);
        expect(() => parseVkey(note)).toThrow(ProofError);
      }),
    );
  });
});
