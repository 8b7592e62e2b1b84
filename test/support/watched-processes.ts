import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../apps/cli/free-port.js';
import { CHEAP_ARGON2ID, COMPILE_CACHE, TEST_SECRET } from './deployment.js';

/** A process started as in production, with its output. */
export interface WatchedProcess {
  readonly url: string;
  readonly pid: number;
  readonly output: string;
  /** The URL of the metrics. */
  readonly metricsUrl: string;
  /** The metrics in the format of Prometheus. */
  metrics(): Promise<string>;
  /** @returns the exit code */
  stop(): Promise<number>;
}

/** Resolves when the process is ready or has ended. */
export async function startWatched(app: 'api' | 'worker', env: Record<string, string>): Promise<WatchedProcess> {
  const main = fileURLToPath(new URL(`../../dist/apps/${app}/main.js`, import.meta.url));
  const metricsPort = await freePort();
  const child: ChildProcess = spawn(process.execPath, ['--import', CHEAP_ARGON2ID, main], {
    env: {
      ...COMPILE_CACHE,
      HOST: '127.0.0.1',
      PORT: '0',
      PUBLIC_URL: 'http://keyledger.test',
      KEYLEDGER_SECRET: TEST_SECRET,
      REGISTRATION: 'open',
      METRICS_PORT: String(metricsPort),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const closed = once(child, 'close');
  const [ready] = (await Promise.race([once(child, 'message'), closed])) as [{ url?: string } | number | null];
  return {
    url: (ready !== null && typeof ready === 'object' && ready.url) || '',
    pid: child.pid!,
    get output() {
      return output;
    },
    metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
    async metrics() {
      const response = await fetch(`http://127.0.0.1:${metricsPort}/metrics`);
      if (!response.ok) throw new Error(`/metrics answered ${response.status}`);
      return response.text();
    },
    async stop() {
      child.kill('SIGTERM');
      const [code] = (await closed) as [number];
      return code;
    },
  };
}

/** Receives traces by OTLP over HTTP, like a collector. */
export interface TraceReceiver {
  readonly url: string;
  /** The request bodies as received, in protobuf. */
  readonly received: readonly Buffer[];
  readonly headers: readonly IncomingHttpHeaders[];
  close(): Promise<void>;
}

export async function receiveTraces(status = 200): Promise<TraceReceiver> {
  const received: Buffer[] = [];
  const headers: IncomingHttpHeaders[] = [];
  const take = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await buffer(request);
    if (request.method === 'POST' && request.url === '/v1/traces') received.push(body);
    headers.push(request.headers);
    response.writeHead(status, { 'content-type': 'application/x-protobuf' }).end();
  };
  const server = createServer((request, response) => void take(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    headers,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
