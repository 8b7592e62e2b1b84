import { randomBytes } from 'node:crypto';
import { expect, it } from '@jest/globals';
import { entriesOf, packBody, openEntries, type OpenEntries } from './bodies.js';

const ORGANIZATION = '0192f6a0-0000-7000-8000-000000000000';

/** Jest compares long arrays of bytes one by one, in seconds. */
const textsOf = (entries: readonly Uint8Array[]) => entries.map((entry) => Buffer.from(entry).toString('base64'));
const entriesIn = ({ leaves }: OpenEntries) => leaves.map(({ entry }) => entry);

it.each([10, 50_000])('entries of %d bytes are read as they were stored, and damage is reported', async (length) => {
  const entries = Array.from({ length: 8 }, () => new Uint8Array(randomBytes(length)));
  const stored = { first: 16, count: 8, body: packBody(entries) };
  expect(textsOf(entriesIn(await openEntries(ORGANIZATION, stored)))).toEqual(textsOf(entries));
  expect(textsOf(entriesOf(ORGANIZATION, stored))).toEqual(textsOf(entries));
  stored.body[stored.body.length >> 1]! ^= 1;
  await expect(openEntries(ORGANIZATION, stored)).rejects.toMatchObject({ code: 'audit_log_damaged' });
  await expect(openEntries(ORGANIZATION, { ...stored, body: packBody(entries), count: 9 })).rejects.toMatchObject({
    code: 'audit_log_damaged',
  });
});

it('entries are selected by their bytes, and keep their leaf indexes', async () => {
  const texts = ['one', '', 'three', 'four'];
  const stored = { first: 7, count: 4, body: packBody(texts.map((text) => Buffer.from(text))) };
  const seen: string[] = [];
  const { leaves } = await openEntries(ORGANIZATION, stored, (bundle) => (start, end) => {
    const text = Buffer.from(bundle.subarray(start, end)).toString();
    seen.push(text);
    return text.includes('o');
  });
  expect(seen).toEqual(texts);
  expect(leaves.map(({ index, entry }) => [index, Buffer.from(entry).toString()])).toEqual([
    [7, 'one'],
    [10, 'four'],
  ]);
});

it('the memory of opened entries is freed when they are disposed of, not by the garbage collector', async () => {
  const body = packBody(Array.from({ length: 256 }, () => new Uint8Array(randomBytes(300))));
  const opened = await openEntries(ORGANIZATION, { first: 0, count: 256, body });
  expect(new Set(entriesIn(opened).map((entry) => entry.byteLength))).toEqual(new Set([300]));
  opened[Symbol.dispose]();
  expect(new Set(entriesIn(opened).map((entry) => entry.byteLength))).toEqual(new Set([0]));
});

it('a large body is decompressed in another thread', async () => {
  const entries = Array.from({ length: 256 }, () => new Uint8Array(randomBytes(50_000)));
  let isDone = false;
  const reading = openEntries(ORGANIZATION, { first: 0, count: 256, body: packBody(entries) }).then(
    () => (isDone = true),
  );
  await new Promise((resolve) => setImmediate(resolve));
  expect(isDone).toBe(false);
  await reading;
});
