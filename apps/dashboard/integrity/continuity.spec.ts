import { describe, expect, it } from '@jest/globals';
import { noteSigner } from '../../../test/support/note-signer.js';
import { consistencyOf, rootOfLeaves } from '../../../test/support/small-tree.js';
import { signCheckpoint } from '#libs/tlog/checkpoint.js';
import { leafHash } from '#libs/tlog/leaf.js';
import { formatVkey, type NoteSigner } from '#libs/tlog/note.js';
import { ProofError } from '#libs/tlog/proof-error.js';
import { signRotation, type KeyRotation } from '#libs/tlog/rotation.js';
import { openContinuing, OtherKey } from './continuity.js';

const ORIGIN = 'keys.example.com/3f9ac1d2b4e5f607/org_1';
const signer = noteSigner(ORIGIN);
const vkeyOf = ({ key }: NoteSigner) => formatVkey(key);

const leavesOf = (count: number, changed = -1) =>
  Array.from({ length: count }, (_, n) => leafHash(Uint8Array.of(n, n === changed ? 1 : 0)));

const noteOf = (leaves: readonly Uint8Array[], by = signer) =>
  signCheckpoint({ origin: by.key.name, size: leaves.length, root: rootOfLeaves(leaves) }, [by]);

/** A log that responds with its own proofs. */
function serverOf(leaves: readonly Uint8Array[], vkeys = [vkeyOf(signer)], rotations: readonly KeyRotation[] = []) {
  const asked: string[] = [];
  return {
    asked,
    vkeys: () => {
      asked.push('vkeys');
      return Promise.resolve(vkeys);
    },
    rotations: () => {
      asked.push('rotations');
      return Promise.resolve([...rotations]);
    },
    consistencyProof: (from: number, to: number) => {
      asked.push(`${from} to ${to}`);
      return consistencyOf(from, leaves.slice(0, to));
    },
  };
}

const remembered = { checkpoint: noteOf(leavesOf(5)), vkey: vkeyOf(signer) };

describe('the first checkpoint', () => {
  it('is opened with the key that the log comes with', async () => {
    const opened = await openContinuing(noteOf(leavesOf(5)), null, serverOf([]));
    expect(opened).toMatchObject({ vkey: vkeyOf(signer), checkpoint: { origin: ORIGIN, size: 5 } });
  });

  it('is opened with the key of its own epoch, not with an earlier one', async () => {
    const earlier = noteSigner('keys.example.com/0000000000000000/org_1', 2);
    const server = serverOf([], [vkeyOf(signer), vkeyOf(earlier)]);
    expect((await openContinuing(noteOf(leavesOf(5)), null, server)).vkey).toBe(vkeyOf(signer));
    expect((await openContinuing(noteOf(leavesOf(5), earlier), null, server)).vkey).toBe(vkeyOf(earlier));
  });

  it('is rejected if no key of the log signed it', async () => {
    const opening = openContinuing(noteOf(leavesOf(5), noteSigner(ORIGIN, 2)), null, serverOf([]));
    await expect(opening).rejects.toThrow('no signature of a known key');
    await expect(openContinuing(noteOf(leavesOf(5)), null, serverOf([], ['']))).rejects.toThrow(ProofError);
    await expect(openContinuing(noteOf(leavesOf(5)), null, serverOf([], []))).rejects.toThrow('has no key');
  });
});

describe('a later checkpoint', () => {
  it('is accepted if it continues the remembered one, by the proof and not by trust', async () => {
    const server = serverOf(leavesOf(9));
    expect((await openContinuing(noteOf(leavesOf(9)), remembered, server)).checkpoint.size).toBe(9);
    expect(server.asked).toEqual(['5 to 9']);
  });

  it('of the same size needs no proof, and must have the same root', async () => {
    const server = serverOf(leavesOf(5));
    expect((await openContinuing(noteOf(leavesOf(5)), remembered, server)).checkpoint.size).toBe(5);
    expect(server.asked).toEqual([]);
    await expect(openContinuing(noteOf(leavesOf(5, 2)), remembered, server)).rejects.toThrow('it was changed');
  });

  it('of a log whose end was cut off is rejected', async () => {
    const opening = openContinuing(noteOf(leavesOf(4)), remembered, serverOf(leavesOf(4)));
    await expect(opening).rejects.toThrow('had 5 leaves and now has 4: its end was cut off');
  });

  it.each([0, 2, 4])('of a fork that changed leaf %s is rejected, whatever proof it has', async (changed) => {
    const fork = leavesOf(9, changed);
    const opening = openContinuing(noteOf(fork), remembered, serverOf(fork));
    await expect(opening).rejects.toThrow('does not continue the log of 5');
    await expect(openContinuing(noteOf(fork), remembered, serverOf(leavesOf(9)))).rejects.toThrow(ProofError);
  });

  it('without a proof is rejected', async () => {
    const server = { ...serverOf(leavesOf(9)), consistencyProof: () => Promise.resolve([]) };
    await expect(openContinuing(noteOf(leavesOf(9)), remembered, server)).rejects.toThrow('too short');
  });

  it('is compared with what was signed, not with a remembered note that someone changed', async () => {
    const changed = { ...remembered, checkpoint: remembered.checkpoint.replace('\n5\n', '\n4\n') };
    await expect(openContinuing(noteOf(leavesOf(9)), changed, serverOf(leavesOf(9)))).rejects.toThrow(ProofError);
  });

  it('with a wrong signature of the remembered key is rejected as such', async () => {
    const note = noteOf(leavesOf(9));
    const wrong = note.replace('\n9\n', '\n8\n');
    const opening = openContinuing(wrong, remembered, serverOf(leavesOf(9)));
    await expect(opening).rejects.toThrow(/^The signature of .* is wrong$/);
    await expect(opening).rejects.not.toBeInstanceOf(OtherKey);
  });

  it('of another key of the same log is for a person to accept', async () => {
    const other = noteSigner(ORIGIN, 2);
    const server = serverOf(leavesOf(9), [vkeyOf(other), vkeyOf(signer)]);
    const error: unknown = await openContinuing(noteOf(leavesOf(9), other), remembered, server).catch(
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(OtherKey);
    expect(error).toMatchObject({
      message: `Another key of ${ORIGIN} signs the log now, and no entry hands over to it`,
      vkey: vkeyOf(other),
    });
  });

  describe('of another key of the same log', () => {
    const [second, third] = [noteSigner(ORIGIN, 2), noteSigner(ORIGIN, 3)];
    const handover = (from: NoteSigner, to: NoteSigner) => ({ vkey: vkeyOf(to), note: signRotation(to.key, from) });
    const leaves = leavesOf(9);
    const serverWith = (...rotations: KeyRotation[]) =>
      serverOf(leaves, [vkeyOf(third), vkeyOf(second), vkeyOf(signer)], rotations);

    it('is accepted, and its key remembered, if the remembered key handed over to it step by step', async () => {
      const server = serverWith(handover(signer, second), handover(second, third));
      const opened = await openContinuing(noteOf(leaves, third), remembered, server);
      expect(opened).toMatchObject({ vkey: vkeyOf(third), checkpoint: { size: 9 } });
      expect(server.asked).toContain('5 to 9');
    });

    it('is not accepted because a key handed over that is not trusted itself', async () => {
      for (const server of [serverWith(handover(second, third)), serverWith({ vkey: vkeyOf(third), note: '' })])
        await expect(openContinuing(noteOf(leaves, third), remembered, server)).rejects.toThrow('no entry hands over');
    });

    it('is for a person to accept if the earlier key was compromised', async () => {
      const server = serverWith({ vkey: vkeyOf(third) });
      await expect(openContinuing(noteOf(leaves, third), remembered, server)).rejects.toThrow('was compromised');
    });

    it('must continue the remembered checkpoint all the same', async () => {
      const server = serverWith(handover(signer, third));
      const opening = openContinuing(noteOf(leavesOf(9, 1), third), remembered, server);
      await expect(opening).rejects.toThrow('does not continue the log of 5');
    });
  });

  it('of a new epoch is for a person to accept', async () => {
    const other = noteSigner('keys.example.com/1111111111111111/org_1');
    const server = serverOf(leavesOf(9), [vkeyOf(other), vkeyOf(signer)]);
    const error: unknown = await openContinuing(noteOf(leavesOf(9), other), remembered, server).catch(
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(OtherKey);
    expect(error).toMatchObject({ message: expect.stringContaining('a new epoch has begun'), vkey: vkeyOf(other) });
  });

  it('continues an empty log without a proof', async () => {
    const empty = { checkpoint: noteOf([]), vkey: vkeyOf(signer) };
    const server = serverOf(leavesOf(3));
    expect((await openContinuing(noteOf(leavesOf(3)), empty, server)).checkpoint.size).toBe(3);
    expect(server.asked).toEqual([]);
  });
});
