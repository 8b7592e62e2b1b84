import { describe, expect, it } from '@jest/globals';
import { Witness } from '../../test/support/witness.js';
import { noteSigner } from '../../test/support/note-signer.js';
import { readConfig } from '#libs/platform/config.js';
import { formatVkey } from '#libs/tlog/note.js';
import { Witnesses } from './witnesses.js';

const vkeys = ['one', 'two', 'three'].map((name) => new Witness(`${name}.example/w`).vkey);
const listOf = (keys: readonly string[]) => keys.map((vkey) => `${vkey} https://w.example.com/prefix/`).join(', ');
const witnesses = (WITNESSES: string, WITNESS_QUORUM = '') =>
  new Witnesses(
    readConfig({
      DATABASE_URL: 'postgres://db/keyledger',
      KEYLEDGER_SECRET: 'x'.repeat(32),
      WITNESSES,
      WITNESS_QUORUM,
    }),
  );

describe('the witnesses of the settings', () => {
  it('are none by default', () => {
    expect(witnesses('')).toMatchObject({ all: [] });
  });

  it.each([
    [1, '', 1],
    [2, '', 2],
    [3, '', 2],
    [3, '1', 1],
    [3, '3', 3],
  ])('%s with the quorum "%s" need %s cosignatures', (count, quorum, expected) => {
    const { all, policy } = witnesses(listOf(vkeys.slice(0, count)), quorum);
    expect(policy.quorum).toBe(expected);
    expect(all.map(({ vkey, url }) => [vkey, url])).toEqual(
      vkeys.slice(0, count).map((vkey) => [vkey, 'https://w.example.com/prefix']),
    );
  });

  it.each([
    [
      'a key of a log',
      formatVkey(noteSigner('example.com/w').key),
      '',
      'WITNESSES has a key that cannot be used: .* has the type 1, not 4',
    ],
    [
      'a key with another id',
      vkeys[0]!.replace(/\+[\da-f]{8}\+/, '+00000000+'),
      '',
      'WITNESSES has a key that cannot be used: .* has the id',
    ],
    [
      'a witness twice',
      `${vkeys[0]} https://w.example.com,${vkeys[0]}`,
      '',
      'WITNESSES has a witness twice: each counts once.',
    ],
    [
      'a quorum that cannot be reached',
      vkeys[0]!,
      '2',
      'WITNESS_QUORUM is 2, but WITNESSES has 1: lower it, or add witnesses.',
    ],
    ['a quorum without witnesses', '', '1', 'WITNESS_QUORUM is 1, but WITNESSES has 0'],
  ])('stop the start with one sentence if they have %s', (_, list, quorum, sentence) => {
    expect(() => witnesses(list && `${list} https://w.example.com`, quorum)).toThrow(new RegExp(`^${sentence}`));
  });
});
