import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createClient } from '#libs/client/client.js';
import { createDatabase, type TestDatabase } from '../support/deployment.js';
import { receiveTraces, startWatched, type TraceReceiver, type WatchedProcess } from '../support/watched-processes.js';

/** Reports the packages of OpenTelemetry in the files that a process loads. The build names the source of each part. */
const TELL = `
  import { registerHooks } from 'node:module';
  registerHooks({ load(url, context, next) {
    const loaded = next(url, context);
    for (const [, name] of String(loaded.source).matchAll(/^\\/\\/.* node_modules\\/(@opentelemetry\\/[^/]+)/gm))
      process.stderr.write('loads ' + name + '\\n');
    return loaded;
  } });`;

const REPORTING = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(TELL)}` };

const loadedBy = ({ output }: WatchedProcess) =>
  new Set(Array.from(output.matchAll(/^loads (.*)$/gm), ([, name]) => name));

let database: TestDatabase;
let receiver: TraceReceiver;
/** An API with tracing that has verified a key and has stopped. */
let traced: WatchedProcess;
let key: string;
let status: number;
let exitCode: number;
const [traceId, gateway] = [randomBytes(16), randomBytes(8)];

beforeAll(async () => {
  database = await createDatabase();
  receiver = await receiveTraces();
  traced = await startWatched('api', {
    DATABASE_URL: database.apiUrl,
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20of-the-receiver',
    ...REPORTING,
  });
  const account = { email: 'ada@example.com', password: 'nine lamps above the quay' };
  const anonymous = createClient({ baseUrl: traced.url });
  await anonymous.auth.register({ body: { ...account, name: 'Ada' } });
  const { access_token: accessToken } = await anonymous.auth.login({ body: account });
  const ada = createClient({ baseUrl: traced.url, accessToken });
  ({ key } = await ada.apiKeys.create({ body: { name: 'Used', scopes: ['triggers:read'] } }));

  const headers = { 'x-api-key': key, traceparent: `00-${traceId.toString('hex')}-${gateway.toString('hex')}-01` };
  ({ status } = await fetch(`${traced.url}/authz?scope=triggers:read`, { headers }));
  await fetch(`${traced.url}/authz`, {
    headers: { traceparent: `00-${randomBytes(16).toString('hex')}-${gateway.toString('hex')}-00`, 'x-api-key': key },
  });
  // A process sends its remaining spans when it stops.
  exitCode = await traced.stop();
  await receiver.close();
});

afterAll(() => database.drop());

it('a verification is traced from its gateway to its record', () => {
  expect([status, exitCode]).toEqual([200, 0]);
  expect(receiver.headers.every(({ authorization }) => authorization === 'Bearer of-the-receiver')).toBe(true);
  const spans = receiver.received.flatMap(spansOf);
  const inTrace = spans.filter((span) => span.traceId.equals(traceId));
  expect(inTrace.map(({ name }) => name).toSorted()).toEqual(['GET /authz', 'argon2id', 'load secrets', 'record']);
  const request = inTrace.find(({ name }) => name === 'GET /authz')!;
  expect(request.parentId).toEqual(gateway);
  for (const { name, parentId } of inTrace) if (name !== 'GET /authz') expect(parentId).toEqual(request.id);
  // One statement records many requests, so it belongs to no trace.
  const statement = spans.find(({ name }) => name === 'admit')!;
  expect(statement.parentId).toHaveLength(0);
  // The second gateway said that its request must not be traced.
  expect(spans.filter(({ name }) => name === 'GET /authz')).toHaveLength(1);
  expect(spans.map(({ name }) => name)).toContain('POST /api/v1/api-keys');
  for (const body of receiver.received) expect(body.includes(key.slice(-20))).toBe(false);
});

it.each(['api', 'worker'] as const)('the %s loads no tracing code unless tracing is on', async (app) => {
  const run = async (env: Record<string, string>) => {
    const service = await startWatched(app, {
      DATABASE_URL: app === 'api' ? database.apiUrl : database.workerUrl,
      LOG_LEVEL: 'fatal',
      ...REPORTING,
      ...env,
    });
    expect(await service.stop()).toBe(0);
    return service;
  };
  // An interface without an implementation, which prom-client imports.
  expect(loadedBy(await run({}))).toEqual(new Set(['@opentelemetry/api']));
  const withTracing = app === 'api' ? traced : await run({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' });
  expect(loadedBy(withTracing)).toContain('@opentelemetry/sdk-trace');
});

interface Span {
  readonly traceId: Buffer;
  readonly id: Buffer;
  readonly parentId: Buffer;
  readonly name: string;
}

/** Parses ExportTraceServiceRequest.resource_spans.scope_spans.spans of opentelemetry/proto/trace/v1/trace.proto. */
function spansOf(request: Buffer): Span[] {
  const none = Buffer.alloc(0);
  const spans = fields(request)
    .get(1)!
    .flatMap((resource) => fields(resource).get(2) ?? [])
    .flatMap((scope) => fields(scope).get(2) ?? []);
  return spans.map((span) => {
    const [traceId = none, id = none, parentId = none, name = none] = [1, 2, 4, 5].map((n) => fields(span).get(n)?.[0]);
    return { traceId, id, parentId, name: name.toString() };
  });
}

/** The length-delimited fields of a protobuf message, by number. */
function fields(message: Buffer): Map<number, Buffer[]> {
  const found = new Map<number, Buffer[]>();
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = message[at++]!;
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const [number, type] = [Math.floor(tag / 8), tag % 8];
    if (type === 0) varint();
    else if (type === 2) {
      const length = varint();
      found.set(number, [...(found.get(number) ?? []), message.subarray(at, at + length)]);
      at += length;
    } else at += type === 1 ? 8 : 4;
  }
  return found;
}
