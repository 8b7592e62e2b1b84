import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { HEADERS } from './headers.ts';

// What Node itself takes for a request: no framework.
const body = JSON.stringify({ hello: 'world' });
const headers = { ...HEADERS, 'content-type': 'application/json', 'content-length': body.length };
const server = createServer((_request, response) => response.writeHead(200, headers).end(body));
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.send?.({ type: 'ready', url: `http://127.0.0.1:${port}` });
});
process.on('disconnect', () => process.exit());
