import { once } from 'node:events';
import { createServer, request as ask } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface OneHost {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * Serves the API and the vendor's own service at one address, as the documents describe them. A proxy selects the
 * server by the path.
 */
export async function oneHost(serverOf: (path: string) => string): Promise<OneHost> {
  const server = createServer((request, response) => {
    const path = request.url!;
    const onward = ask(serverOf(path) + path, { method: request.method, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.writeHead(502).end());
    request.pipe(onward);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
