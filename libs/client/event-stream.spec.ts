import { expect, it } from '@jest/globals';
import { readEventStream, type StreamedEvents } from './event-stream.js';

const STREAM = [
  ': listening\nid: 6\n\n',
  'id: 7\nevent: audit\ndata: {"name":"漢字\u2028"}\n\n',
  ': heartbeat\n\n',
  'id: 8\ndata: one\ndata:two\n\n',
  'id: 9\ndata: never ended',
].join('');

async function readInPieces(size: number): Promise<StreamedEvents[]> {
  const bytes = new TextEncoder().encode(STREAM);
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
      controller.close();
    },
  });
  const read: StreamedEvents[] = [];
  for await (const piece of readEventStream(stream)) read.push(piece);
  return read;
}

it.each([1, 2, 7, 1000])('events arrive whole and with their positions in pieces of %d bytes', async (size) => {
  const read = await readInPieces(size);
  expect(read.flatMap(({ events }) => events)).toEqual([
    { id: '7', data: '{"name":"漢字\u2028"}' },
    { id: '8', data: 'one\ntwo' },
  ]);
  expect(read.at(-1)!.lastId).toBe('8');
});

it('a position without an event advances the stream, and a heartbeat is reported', async () => {
  const read = await readInPieces(1);
  expect(read.filter(({ lastId, events }) => lastId === '6' && events.length === 0).length).toBeGreaterThan(0);
  expect((await readInPieces(1000)).at(0)!.lastId).toBe('8');
});

it('an endless event is rejected before it fills the memory', async () => {
  const endless = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: (controller) => controller.enqueue(new TextEncoder().encode(`data: ${'x'.repeat(100_000)}`)),
  });
  const readAll = async () => {
    for await (const { events } of readEventStream(endless)) expect(events).toEqual([]);
  };
  await expect(readAll()).rejects.toThrow(/buffer/i);
});
