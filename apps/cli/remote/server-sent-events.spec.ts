import { expect, it } from '@jest/globals';
import { serverSentEvents, type ServerSentEvent } from './server-sent-events.js';

const STREAM = [
  ': listening\nid: 6\n\n',
  'id: 7\nevent: audit\ndata: {"name":"漢字\u2028"}\n\n',
  ': heartbeat\n\n',
  'data: one\ndata:two\n\n',
  'id: 8\ndata: never ended',
].join('');

it.each([1, 2, 7, 1000])('messages are whole, in pieces of %d bytes as in any other', async (size) => {
  const bytes = new TextEncoder().encode(STREAM);
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  const messages: ServerSentEvent[] = [];
  for await (const message of serverSentEvents(pieces())) messages.push(message);
  expect(messages).toEqual([{ id: '6' }, { id: '7', data: '{"name":"漢字\u2028"}' }, {}, { data: 'one\ntwo' }]);
});
