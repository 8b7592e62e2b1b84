import { connect } from 'node:net';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createClient, type Client } from '#libs/client/client.js';
import { startProcesses, type Processes } from '../faults/processes.js';
import { TEST_SECRET } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { startOwnServer, type OwnServer } from '../support/own-server.js';
import { hostileValues, jsonText, mutated, valuesOf, type JsonSchema } from './schema-values.js';
import { storedEntries } from '../support/audit-log.js';
import { builtModule } from '../support/built-module.js';

const { newOperatorLink } = await builtModule<typeof import('../../apps/cli/operator-link.js')>(
  '../../apps/cli/operator-link.js',
);

/**
 * Whatever a caller sends, no response is a 5xx (except 503 `overloaded`, which a full queue gives), no response is
 * large or has a stack trace, and no secret appears in a response, a log line, PostgreSQL's log or the audit log. The
 * requests are made from the OpenAPI document; some are then damaged byte by byte. `FUZZ_SEED` repeats a run,
 * `FUZZ_REQUESTS` makes it longer.
 */
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_128);
const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 3_000);
/** The OpenAPI document is the largest. */
const MAX_RESPONSE = 512 * 1024;
/** Most of the time, most of them wait for the rest of a request. */
const IN_FLIGHT = 48;
const MAX_FAULTS = 10;

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly schema: JsonSchema;
}

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>> };
}

interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
}

interface Wire {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string | null;
}

interface Response {
  readonly status: number;
  readonly body: string;
  readonly type: string;
}

let server: OwnServer;
let processes: Processes;
let url: string;
let openApi: OpenApi;
/** The secrets that must never appear in any output, by their descriptions. */
const secrets = new Map<string, string>();
/** Ids of each kind, of the caller and of another tenant. */
const ids: string[] = [];
const credentials: (readonly (readonly [string, string])[])[] = [[]];

beforeAll(async () => {
  server = await startOwnServer();
  processes = await startProcesses({ apis: 1, server, env: { LOG_LEVEL: 'debug' } });
  ({ url } = processes.apis[0]!);
  openApi = (await (await fetch(`${url}/openapi.json`)).json()) as OpenApi;
  const { token } = await newOperatorLink(processes.database.apiUrl, 'http://keyledger.test', null);
  for (const [who, invitation] of [
    ['ada', undefined],
    ['bob', undefined],
    ['operator', token],
  ] as const) {
    await plantAccount(who, invitation);
  }
  secrets.set('the secret of the deployment', TEST_SECRET);
});

afterAll(async () => {
  await processes.stop();
  await server.stop();
});

async function plantAccount(who: string, invitation: string | undefined): Promise<void> {
  const anonymous = createClient({ baseUrl: url });
  const account = { email: `${who}@example.com`, password: `quiet ${who} harbour nine lamps` };
  const { user, organization } = await anonymous.auth.register({
    body: { ...account, name: who, ...(invitation && { invitation_token: invitation }) },
  });
  const tokens = await anonymous.auth.login({ body: account });
  secrets.set(`the password of ${who}`, account.password);
  secrets.set(`the refresh token of ${who}`, tokens.refresh_token!);
  secrets.set(`the access token of ${who}`, tokens.access_token);
  const client = createClient({ baseUrl: url, accessToken: tokens.access_token });
  credentials.push([['authorization', `Bearer ${tokens.access_token}`]]);
  await plantThings(who, client);
  ids.push(user.id, organization.id);
}

async function plantThings(who: string, client: Client): Promise<void> {
  const team = await client.organizations.create({ body: { name: `Team of ${who}` } });
  const project = await client.projects.create({ body: { name: 'Shop', organization_id: team.id } });
  const invitation = await client.invitations.create({ params: { id: team.id }, body: { role: 'viewer' } });
  secrets.set(`the invitation of ${who}`, invitation.token);
  ids.push(team.id, project.id, invitation.id);
  for (const scopes of [['triggers:read'], ['api-keys:manage', 'api-keys:verify', 'audit:read', 'triggers:read']]) {
    const key = await client.apiKeys.create({ body: { name: 'Key', organization_id: team.id, scopes } });
    secrets.set(`a key of ${who} with ${scopes.length} scopes`, key.key);
    ids.push(key.id);
    credentials.push([['x-api-key', key.key]], [['authorization', `Bearer ${key.public_key}:${key.key}`]]);
  }
}

const resolve = (ref: string) => openApi.components.schemas[ref.split('/').at(-1)!]!;

const sometimes = <T>(usual: fc.Arbitrary<T>, odd: fc.Arbitrary<T>, weight = 4) =>
  fc.oneof({ arbitrary: usual, weight }, { arbitrary: odd, weight: 1 });

/** A secret within a URL or a header, as users paste it, possibly percent-encoded. */
const secretText = (): fc.Arbitrary<string> =>
  fc
    .tuple(fc.constantFrom(...recognizable()), fc.nat(2), fc.constantFrom('', 'x', '/', '='))
    .map(([secret, encodings, around]) => {
      let text = secret;
      for (let round = 0; round < encodings; round++) text = percentEncoded(text);
      return around + text + around;
    });

/** The service recognizes its own secrets and removes them everywhere. A password looks like any other text. */
const recognizable = () =>
  [...secrets].filter(([what]) => !/password|deployment/.test(what)).map(([, secret]) => secret);

const percentEncoded = (text: string) => Buffer.from(text).toString('hex').replace(/../g, '%$&');

const oddText = () =>
  fc.oneof(
    hostileValues.map((value) => jsonText(value)),
    secretText(),
    fc.constantFrom(...ids),
  );

function operations(): { method: string; path: string; operation: Operation }[] {
  const described = Object.entries(openApi.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
  const more = ['/authz', '/authz/customers/{id}', '/', '/assets/{id}', '/docs', '/openapi.json', '/{id}'];
  return [
    // These operations end the accounts that the other requests use.
    ...described.filter(
      ({ operation }) => !/logout|endSession|removeOperator|members\.remove|suspend/.test(operation.operationId),
    ),
    ...more.map((path) => ({ method: 'GET', path, operation: { operationId: path } })),
  ];
}

function requests(): fc.Arbitrary<Wire> {
  return fc.constantFrom(...operations()).chain(({ method, path, operation }) => {
    const parameters = operation.parameters ?? [];
    const schema = operation.requestBody?.content['application/json']?.schema;
    const ofPlace = (place: Parameter['in']) => parameters.filter((parameter) => parameter.in === place);
    const valueOf = ({ schema: described }: Parameter) =>
      sometimes(
        valuesOf(described, resolve).map((value) => (typeof value === 'string' ? value : jsonText(value))),
        oddText(),
      );
    const target = fc
      .array(sometimes(fc.constantFrom(...ids), oddText(), 6), { minLength: 3, maxLength: 3 })
      .map((texts) => path.replace(/\{\w+\}/g, () => encodeUrl(texts.shift() ?? 'x')));
    const query = fc.array(
      fc.oneof(
        ...ofPlace('query').map((parameter) => valueOf(parameter).map((value) => [parameter.name, value] as const)),
        fc.tuple(fc.constantFrom('scope', 'cost', 'unknown', '__proto__', 'limit', 'cursor'), oddText()),
      ),
      { maxLength: 4 },
    );
    const headers = fc.array(
      fc.oneof(
        ...ofPlace('header').map((parameter) => valueOf(parameter).map((value) => [parameter.name, value] as const)),
        fc.tuple(
          fc.constantFrom(
            'user-agent',
            'origin',
            'x-request-id',
            'x-forwarded-for',
            'x-forwarded-uri',
            'if-match',
            'range',
            'idempotency-key',
            'x-authz-scope',
            'accept',
            'cookie',
            'x-api-key',
            'expect',
            'traceparent',
          ),
          oddText(),
        ),
      ),
      { maxLength: 3 },
    );
    const good = schema ? valuesOf(schema, resolve) : fc.constant(undefined);
    const body = sometimes(
      good,
      good.chain((value) => mutated(value)),
      1,
    );
    const type = sometimes(
      fc.constant('application/json'),
      fc.constantFrom('text/plain', 'application/json; charset=latin1', 'x', ''),
      9,
    );
    return fc
      .tuple(
        target,
        query,
        headers,
        body,
        type,
        fc.constantFrom(...credentials),
        sometimes(fc.constant(method), fc.constantFrom('HEAD', 'PUT', 'OPTIONS', 'TRACE', 'PATCH'), 20),
      )
      .map(([to, pairs, extra, value, contentType, credential, verb]): Wire => ({
        method: verb,
        target:
          pairs.length > 0
            ? `${to}?${pairs.map(([name, text]) => `${encodeUrl(name)}=${encodeUrl(text)}`).join('&')}`
            : to,
        headers: [...credential, ...extra, ...(value === undefined ? [] : [['content-type', contentType] as const])],
        body: value === undefined ? null : jsonText(value),
      }));
  });
}

/** Cuts the text to the length that a URL can hold, and encodes it. Percent-encoded parts stay as they are. */
function encodeUrl(text: string): string {
  return text
    .slice(0, 3_000)
    .toWellFormed()
    .replace(/[^\w.~!$'()*,;:@%/+-]+/g, encodeURIComponent);
}

/** The header as bytes, without characters that would end it. */
const headerText = (text: string) =>
  Buffer.from(text.replace(/[\r\n\0]/g, ' '))
    .toString('latin1')
    .slice(0, 6_000);

function bytesOf({ method, target, headers, body }: Wire): Buffer {
  const content = Buffer.from(body ?? '');
  const lines = [
    `${method} ${target} HTTP/1.1`,
    'host: keyledger.test',
    'connection: close',
    ...headers.map(([name, value]) => `${name}: ${headerText(value)}`),
    ...(body === null ? [] : [`content-length: ${content.length}`]),
  ];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), content]);
}

/** Replaces, removes, repeats or inserts bytes. */
const damaged = (wire: Wire): fc.Arbitrary<Buffer> => {
  const bytes = bytesOf(wire);
  const place = fc.nat({ max: bytes.length - 1 });
  return fc
    .array(fc.tuple(place, fc.nat(3), fc.uint8Array({ minLength: 1, maxLength: 8 })), { minLength: 1, maxLength: 4 })
    .map((changes) =>
      changes.reduce((result, [at, kind, noise]) => {
        const before = result.subarray(0, at);
        const after = result.subarray(at + (kind === 0 ? 0 : noise.length));
        if (kind === 1) return Buffer.concat([before, after]);
        if (kind === 2) return Buffer.concat([before, result.subarray(at, at + 40), result.subarray(at)]);
        return Buffer.concat([before, noise, after]);
      }, bytes),
    );
};

/** Undefined if the server closed the connection without a response, which it may do if the bytes are no request. */
function exchange(bytes: Buffer): Promise<Response | undefined> {
  const { hostname, port } = new URL(url);
  return new Promise((settle) => {
    const socket = connect({ host: hostname, port: Number(port) });
    const chunks: Buffer[] = [];
    let size = 0;
    // If the bytes end within a request, the server waits for the rest until the timeout. The test reads what came.
    socket.setTimeout(1_500, () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > 2 * MAX_RESPONSE) socket.destroy();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]);
      settle(status ? { status, body: text, type: /content-type: (\S+)/i.exec(text)?.[1] ?? '' } : undefined);
    });
    // The client does not close the socket after the request. The timeout ends a stream, such as a live tail.
    socket.write(bytes);
  });
}

/** What is wrong with a response, or null. */
function faultOf({ status, body }: Response): string | null {
  if (status >= 500 && !(status === 503 && body.includes('"code":"overloaded"'))) return `status ${status}`;
  // An export has the whole audit log, which grows with the run.
  if (body.length > MAX_RESPONSE && !/^content-disposition: attachment/im.test(body)) return `${body.length} bytes`;
  if (/\n\s+at .+:\d+:\d+|node_modules/.test(body) && !body.includes('<!doctype html>')) return 'a stack trace';
  const leaked = [...secrets].find(([, secret]) => body.includes(secret));
  return leaked ? `${leaked[0]} in it` : null;
}

const BATCH = 40;

/** The inputs of a seed, made in batches, because each batch takes memory. */
function* allInputs(): Generator<{ batch: number; bytes: Buffer }> {
  const inputs = fc.oneof(
    { arbitrary: requests().map(bytesOf), weight: 3 },
    { arbitrary: requests().chain(damaged), weight: 1 },
  );
  for (let batch = 0; batch * BATCH < REQUESTS; batch++) {
    const numRuns = Math.min(BATCH, REQUESTS - batch * BATCH);
    for (const bytes of fc.sample(inputs, { seed: SEED + batch, numRuns })) yield { batch, bytes };
  }
}

it(
  'no input causes a 5xx, a stack trace, a large response or a leaked secret',
  async () => {
    const faults: string[] = [];
    const statuses = new Map<number, number>();
    const inputs = allInputs();
    const take = async () => {
      for (let next = inputs.next(); !next.done && faults.length < MAX_FAULTS; next = inputs.next()) {
        const { batch, bytes } = next.value;
        const response = await exchange(bytes);
        if (!response) continue;
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
        const fault = faultOf(response);
        if (fault) {
          const request = bytes.toString('latin1').slice(0, 1_500);
          faults.push(`batch ${batch}: ${fault}\n${request}\n→ ${response.body.slice(0, 600)}`);
        }
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, take));
    const counts = [...statuses].toSorted(([one], [other]) => one - other);
    console.info(`seed ${SEED}: ${REQUESTS} requests: ${JSON.stringify(Object.fromEntries(counts))}`);
    expect(faults).toEqual([]);
    expect(processes.failures).toEqual([]);
    expect(counts.reduce((sum, [, count]) => sum + count, 0)).toBeGreaterThan(REQUESTS / 2);
  },
  60_000 + 100 * REQUESTS,
);

it('no input leaves a secret in a log line, in the log of PostgreSQL, in the outbox or in the audit log', async () => {
  const { sql } = processes;
  const stored = async () => {
    const { rows } = await sql.query<{ waiting: number }>('SELECT count(*)::int AS waiting FROM outbox');
    return rows[0]!.waiting;
  };
  await eventually(stored, (waiting) => waiting === 0);
  const { rows } = await sql.query<{ text: string }>(
    `SELECT encode(body, 'escape') AS text FROM outbox
     UNION ALL SELECT encode(body, 'escape') FROM event_quarantine UNION ALL SELECT response::text FROM idempotency_key`,
  );
  const entries = await storedEntries(sql);
  const places = new Map([
    ['the log of the API', processes.apis[0]!.output],
    ['the log of the worker', processes.worker.output],
    ['the log of PostgreSQL', await server.log()],
    ['the audit log', entries.map(({ entry }) => entry.toString()).join('\n')],
    ['other tables', rows.map(({ text }) => text).join('\n')],
  ]);
  const leaks = [...places].flatMap(([place, text]) =>
    [...secrets].filter(([, secret]) => text.includes(secret)).map(([what]) => `${what} in ${place}`),
  );
  expect(leaks).toEqual([]);
  const decoded = [...places].flatMap(([place, encoded]) => {
    const text = decodedTwice(encoded);
    return [...secrets].filter(([, secret]) => text.includes(secret)).map(([what]) => `${what}, encoded, in ${place}`);
  });
  expect(decoded).toEqual([]);
  expect(entries.length).toBeGreaterThan(20);
});

const decodedTwice = (text: string) => decodeOnce(decodeOnce(text));
const decodeOnce = (text: string) =>
  text.replace(/%[0-9a-f]{2}/gi, (code) => String.fromCharCode(Number.parseInt(code.slice(1), 16)));
