import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A response, without the headers that do not matter to a verifier. */
export interface Said {
  readonly status: number;
  readonly type: string;
  readonly body: Buffer;
}

/** Changes the response to a path. */
type Lie = (path: string, said: Said) => Said | Promise<Said>;

/** A server between a client and the API that changes responses. */
export interface LyingServer {
  readonly url: string;
  /** Every true response so far. The API is asked once for each path. */
  readonly heard: Map<string, Said>;
  /** By default it tells the truth. */
  lie: Lie;
  close(): Promise<void>;
}

/** Passes requests on to the API, with their credentials. */
export async function startLyingServer(apiUrl: string): Promise<LyingServer> {
  const heard = new Map<string, Said>();
  const ask = async (path: string, headers: Record<string, string>): Promise<Said> => {
    const real = await fetch(`${apiUrl}${path}`, { headers });
    const body = Buffer.from(await real.arrayBuffer());
    return { status: real.status, type: real.headers.get('content-type') ?? '', body };
  };
  const server = createServer((request, response) => {
    const path = request.url!;
    const { authorization, 'x-api-key': apiKey } = request.headers;
    const credential = { ...(authorization && { authorization }), ...(apiKey && { 'x-api-key': String(apiKey) }) };
    const respond = async () => {
      const truth = heard.get(path) ?? (await ask(path, credential));
      heard.set(path, truth);
      const { status, type, body } = await liar.lie(path, truth);
      response.writeHead(status, { 'content-type': type }).end(body);
    };
    respond().catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const liar: LyingServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard,
    lie: (_, truth) => truth,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return liar;
}
