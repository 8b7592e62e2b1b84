import { describe, expect, it } from '@jest/globals';
import { noteSigner } from '../../../test/support/note-signer.js';
import { EMPTY_ROOT, openCheckpoint, signCheckpoint } from '#libs/tlog/checkpoint.js';
import { formatVkey } from '#libs/tlog/note.js';
import { ProofError } from '#libs/tlog/proof-error.js';
import { afterAcceptance, afterVerification, evidenceOf, parseRemembered, withoutAlarm } from './remembered.js';

const at = '2026-03-01T12:00:00.000Z';

function signedBy(number: number) {
  const signer = noteSigner('example.com/log', number);
  const note = signCheckpoint({ origin: 'example.com/log', size: 0, root: EMPTY_ROOT }, [signer]);
  return { note, vkey: formatVkey(signer.key), checkpoint: openCheckpoint(note, [signer.key]) };
}

const first = signedBy(1);
const other = signedBy(2);
const remembered = afterVerification(null, first, at);
const alarm = { at, detail: 'Another key signs', checkpoint: other.note, vkey: other.vkey };

describe('what a browser remembers', () => {
  it('is read as it was stored', () => {
    const all = { ...remembered, whole: { at, size: 0, fault: 'Changed', leaf_index: 3 }, alarm };
    expect(parseRemembered(JSON.stringify(all))).toEqual(all);
    expect(parseRemembered(null)).toBeNull();
  });

  it.each(['', '{}', 'null', '{"checkpoint":""}', JSON.stringify({ ...remembered, more: 1 })])(
    'never counts as nothing if it is %j',
    (text) => expect(() => parseRemembered(text)).toThrow(ProofError),
  );

  it('is the new checkpoint after a verification, with the last result of the whole log', () => {
    const whole = { at, size: 0 };
    expect(afterVerification({ ...remembered, whole }, other, at)).toMatchObject({
      checkpoint: other.note,
      vkey: other.vkey,
      size: 0,
      whole,
    });
  });

  it('is the accepted key after a decision, without the alarm and without earlier results', () => {
    const accepted = afterAcceptance({ ...remembered, alarm, whole: { at, size: 0 } }, at);
    expect(accepted).toEqual(afterVerification(null, other, at));
  });

  it('cannot become a fork that the same key signed', () => {
    const sameKey = { at, detail: 'Forked', checkpoint: first.note };
    expect(afterAcceptance({ ...remembered, alarm: sameKey }, at)).toBeNull();
  });

  it('is the same without the alarm, if a person wants to verify again', () => {
    expect(withoutAlarm({ ...remembered, alarm })).toEqual(remembered);
  });

  it('is evidence together with what was received', () => {
    expect(evidenceOf({ ...remembered, alarm })).toContain(first.note);
    expect(evidenceOf({ ...remembered, alarm })).toContain(other.note);
  });
});
