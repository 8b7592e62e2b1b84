import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requestOf } from './connection.ts';
import type { Request } from './connection.ts';
import { REST_CORE, type Processes } from './processes.ts';

/** The order for a run at full speed: each connection has one pending request. */
export interface Order {
  readonly url: string;
  /** Sent in rotation. */
  readonly requests: readonly Request[];
  readonly connections: number;
  readonly seconds: number;
}

/** Times are in milliseconds. */
export interface Measured {
  /** Responses with a status of 2xx or 3xx. */
  readonly ok: number;
  /** What failed, by kind. */
  readonly failed: Readonly<Record<string, number>>;
  /** Requests that the end of the run cut off. The server may have handled them. */
  readonly cutOff: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
}

interface Said {
  readonly responses: number;
  readonly microseconds: number;
  readonly p50: number;
  readonly p99: number;
  readonly failed: Readonly<Record<string, number>>;
}

/** Measures by `wrk` (https://github.com/wg/wrk), which takes far less of its core than a generator in JavaScript. */
export async function runWrk(processes: Pick<Processes, 'output'>, order: Order): Promise<Measured> {
  const { url, requests, connections, seconds } = order;
  const folder = await mkdtemp(join(tmpdir(), 'keyledger-wrk-'));
  const script = join(folder, 'requests.lua');
  try {
    await writeFile(script, scriptOf(requests.map((request) => requestOf(url, request))));
    const options = ['--threads', '1', '--connections', `${connections}`, '--duration', `${seconds}s`];
    const printed = await processes.output('wrk', [...options, '--script', script, url], REST_CORE);
    const { responses, microseconds, p50, p99, failed } = JSON.parse(/^\{.*\}$/m.exec(printed)![0]) as Said;
    return {
      ok: responses - failed['a status of 400 or more']!,
      failed: Object.fromEntries(Object.entries(failed).filter(([, number]) => number > 0)),
      cutOff: connections,
      seconds: microseconds / 1e6,
      p50: p50 / 1000,
      p99: p99 / 1000,
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** JSON strings of ASCII text are Lua strings, too. */
function scriptOf(requests: readonly string[]): string {
  return `
local requests = {${requests.map((request) => JSON.stringify(request)).join(',')}}
local index = 0
function request()
  index = index % #requests + 1
  return requests[index]
end
function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '{"responses":%d,"microseconds":%d,"p50":%d,"p99":%d,"failed":{"no connection":%d,"an error of reading":%d,' ..
    '"an error of writing":%d,"no response in time":%d,"a status of 400 or more":%d}}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.connect, errors.read,
    errors.write, errors.timeout, errors.status))
end
`;
}
