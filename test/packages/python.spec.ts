import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { delimiter, join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient, type ApiError } from '#libs/client/client.js';
import type { Problem } from '#libs/contract/problem.js';
import { allRoutes } from '#libs/contract/routes.js';
import type { Route } from '#libs/contract/route.js';
import { CODED_SCHEMES, RESERVED_HEADERS, RESERVED_PREFIXES } from '#libs/contract/sent-credential.js';
import { createVerifier, type VerifierOptions } from '#libs/verify/verifier.js';
import { freePort } from '../../apps/cli/free-port.js';
import { CLOSED_ADDRESS } from '../support/closed-address.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { describeWith } from '../support/left-out.js';
import { newWorld, samples, type Sample } from '../support/route-samples.js';
import { scratchDirectory } from '../support/scratch-directory.js';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');

const MODULES = ['fastapi', 'flask', 'httpx', 'mypy', 'pip', 'setuptools', 'uvicorn', 'venv', 'wheel'];
const NEEDED = `from importlib.util import find_spec; assert all(map(find_spec, ${JSON.stringify(MODULES)}))`;
const pythons = process.env['PATH']!.split(delimiter).map((folder) => join(folder, 'python3'));
const python = pythons.find((file) => spawnSync(file, ['-c', NEEDED]).status === 0) ?? 'python3';
const describePython = describeWith(
  python,
  ['-c', NEEDED],
  'The Python package was not tested: no python3 on the PATH has what it needs',
  'install mypy, python3-fastapi, python3-flask, python3-httpx, python3-pip, python3-uvicorn and python3-venv',
);

let deployment: Deployment;
let vendor: Account;
let serviceKey: string;
/** A folder with the programs of this test, and with a virtual environment into which the wheel was installed. */
let project: string;
const stops: (() => unknown)[] = [];

const venv = (command: string) => join(project, 'venv/bin', command);

function newKey(scopes: string[], more: object = {}) {
  return vendor.client.apiKeys.create({ body: { name: scopes.join(' '), scopes, ...more } });
}

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  stops.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The program of the README that has this word, with a scope of this test. */
async function programWith(word: string): Promise<string> {
  const readme = await readFile(join(ROOT, 'libs/python/README.md'), 'utf8');
  const programs = Array.from(readme.matchAll(/```python\n([\s\S]*?)```/g), ([, code]) => code!);
  const program = programs.find((code) => code.includes(word))!;
  return program.replaceAll('orders:read', 'triggers:read');
}

/** The program for a framework in the README, with a route `/away` that asks a Keyledger that is away. */
async function example(framework: Framework): Promise<string> {
  const program = await programWith(framework);
  const [verifier] = /^verifier = .*\n/m.exec(program)!;
  const away = (verifier + program.slice(program.indexOf('@app.get')))
    .replaceAll('verifier', 'away_verifier')
    .replace('/orders', '/away')
    .replace('def orders', 'def away');
  const own = framework === 'fastapi' ? OWN_RESPONSE : '';
  const at = (url: string, code: string) => code.replace('https://keys.example.com', url);
  return [at(deployment.url, program), own, at(CLOSED_ADDRESS, away)].join('\n');
}

type Framework = 'fastapi' | 'flask';

const COMMANDS = {
  fastapi: (port: string) => ['-m', 'uvicorn', 'with_fastapi:app', '--port', port],
  flask: (port: string) => ['-m', 'flask', '--app', 'with_flask', 'run', '--port', port],
};

/** Starts the API. What it prints is in `printed`. */
async function startApi(framework: Framework): Promise<{ url: string; printed: () => string }> {
  await writeFile(join(project, `with_${framework}.py`), await example(framework));
  const port = String(await freePort());
  const env = { KEYLEDGER_SERVICE_KEY: serviceKey };
  const api: ChildProcess = spawn(venv('python'), COMMANDS[framework](port), { cwd: project, env });
  stops.push(() => api.kill());
  let printed = '';
  for (const stream of [api.stdout!, api.stderr!]) stream.on('data', (part: Buffer) => (printed += part.toString()));
  const url = `http://127.0.0.1:${port}`;
  const started = await eventually(
    () => fetch(`${url}/orders`).catch(() => undefined),
    (response) => response !== undefined || api.exitCode !== null,
    60_000,
  );
  if (!started) throw new Error(printed);
  return { url, printed: () => printed };
}

async function get(url: string, headers: Record<string, string>) {
  const response = await fetch(`${url}?page=1`, { headers });
  return { status: response.status, headers: response.headers, body: (await response.json()) as { code?: string } };
}

/** A route of FastAPI that makes its response itself. */
const OWN_RESPONSE = `
from fastapi.responses import PlainTextResponse
@app.get("/text", dependencies=[Depends(require_key(verifier, scopes=["triggers:read"]))])
async def text():
    return PlainTextResponse("{}")
`;

interface Case {
  options?: object;
  need?: unknown;
  headers?: Record<string, string>;
  log?: 'full';
}

interface Decided {
  valid?: boolean;
  code?: string;
  status?: number;
  detail?: string;
  caller?: { organization_id: string };
  reasons: string[];
  error?: string;
}

const endlessText = () =>
  new Readable({
    read(size) {
      this.push('x'.repeat(size));
    },
  });

/** Responds with a byte at a time, for ever. */
const drip: RequestListener = (_, response) => {
  const timer = setInterval(() => response.socket?.write('H'), 50);
  response.on('close', () => clearInterval(timer));
};

const FORKED = `
import asyncio, os
from keyledger.verify import AsyncVerifier, IncomingRequest, Requirement, Verifier

options = {"base_url": os.environ["KEYLEDGER"], "api_key": os.environ["KEYLEDGER_SERVICE_KEY"]}
request = IncomingRequest("GET", "/orders", {"x-api-key": os.environ["KEY"]}.get)
need = Requirement(scopes=["triggers:read"])
verifier, in_loops = Verifier(**options), AsyncVerifier(**options)
for _ in range(2):
    print(asyncio.run(in_loops.verify(request, need)).valid, flush=True)
print(verifier.verify(request, need).valid, flush=True)
child = os.fork()
if child == 0:
    print(verifier.verify(request, need).valid, flush=True)
    os._exit(0)
os.waitpid(child, 0)
`;

/** The types of the frameworks would take most of the time. */
const MYPY_SETTINGS = `
[mypy]
strict = True
disallow_subclassing_any = False
disallow_untyped_decorators = False
warn_return_any = False
[mypy-fastapi.*,flask.*,httpx.*,starlette.*]
follow_imports = skip
`;

const GOOD_CALLS = `
from keyledger.client import ApiError, AsyncKeyledger
from keyledger.types import ApiKey, RateLimit

async def change(keyledger: AsyncKeyledger, limits: list[RateLimit]) -> list[ApiKey]:
    key = await keyledger.api_keys.create(name="Shop", rate_limits=[{"name": "a", "limit": 1, "window_seconds": 60}])
    print(await keyledger.api_keys.update(key["id"], expires_at=None, rate_limits=limits))
    async for page in keyledger.api_keys.list(status="active").pages():
        print(page["total"])
    try:
        who = await keyledger.auth.whoami()
        print(who["api_key"]["scopes"] if who["type"] == "api_key" else who["user"]["email"])
    except ApiError as error:
        print(error.code == "insufficient_scope", error.status + 1, error.request_id)
    async for event in keyledger.audit.tail():
        print(event["leaf_index"] + 1)
    return [key async for key in keyledger.api_keys.list(never_expires=True)]
`;

/** The lines of a program, with what the checker says. */
const BAD_CALLS: [line: string, error?: string][] = [
  ['from keyledger.client import ApiError, Keyledger'],
  ['def change(keyledger: Keyledger, error: ApiError) -> None:'],
  ['    keyledger.api_keys.create(nmae="Shop")', 'Unexpected keyword argument "nmae"'],
  [
    '    keyledger.api_keys.update("key_1", name=None)',
    'Argument "name" to "update" of "ApiKeys" has incompatible type',
  ],
  ['    keyledger.api_keys.create(name="a", rate_limits=[{"name": "a", "limit": 1}])', 'Missing key "window_seconds"'],
  ['    keyledger.api_keys.list(status="activ")', 'Argument "status" to "list" of "ApiKeys" has incompatible type'],
  ['    for key in keyledger.api_keys.list():'],
  ['        print(key["scope"])', 'TypedDict "ApiKey" has no key "scope"'],
  ['    print(keyledger.api_keys.get("key_1")["status"] == "activ")', 'Non-overlapping equality check'],
  ['    print(error.code == "not_fuond")', 'Non-overlapping equality check'],
];

const NEED = { scopes: ['triggers:read'] };

/** Places of a key, good and bad. */
const PLACES = [
  ['either', 'Either', 'x-api-key', 'Partner-Key', 'authorization', 'authorization:token', 'partner-key:token'],
  ['', 'a key', 'partner_key', '-key', 'key-', 'a--b', 'key:', ':token', 'key:a:b', 'either:token', 'clé', 7 as never],
  [`x-${'k'.repeat(58)}`, `x-${'k'.repeat(59)}`, 'x-real-ips', 'x-forwarded-for'],
  [...RESERVED_HEADERS, ...RESERVED_PREFIXES].flatMap((name) => [name, `${name}:token`, `${name}-key`, `${name}s`]),
  CODED_SCHEMES.flatMap((scheme) => [`authorization:${scheme}`, `X-Key:${scheme.toUpperCase()}`, `x-key:${scheme}s`]),
].flat();
const ADDRESSES = [
  ['', 'keys.example.com', 'ftp://keys.example.com', 'https://', ' https://keys.example.com', 'https://[::1]:3000/'],
  ['https://ada@keys.example.com', 'https://ada:word@keys.example.com', 'https://keys.example.com/@ada'],
  ['https://keys.example.com/?x=1', 'https://keys.example.com?', 'https://keys.example.com#top', 7 as never],
].flat();

/** Options, good and bad. */
const OPTIONS: Partial<VerifierOptions>[] = [
  ...ADDRESSES.map((baseUrl) => ({ baseUrl })),
  ...['', 'two words', 'line\n', 'schlüssel', 7 as never].map((apiKey) => ({ apiKey })),
  ...PLACES.map((credential) => ({ credential })),
];

const inPython = ({ baseUrl, apiKey, credential }: Partial<VerifierOptions>) => ({
  ...(baseUrl !== undefined && { base_url: baseUrl }),
  ...(apiKey !== undefined && { api_key: apiKey }),
  ...(credential !== undefined && { credential }),
});

/** Where the key is looked for, where it is sent, and how the rejection begins, if it is rejected. */
const SENT: [credential: string, headers: (key: string) => Record<string, string>, rejection?: string][] = [
  ['Partner-Key', (key) => ({ 'partner-key': key, authorization: 'Bearer ours', 'x-api-key': 'other' })],
  ['Partner-Key', (key) => ({ 'x-api-key': key }), 'unauthenticated: Send an API key in the header Partner-Key'],
  ['Authorization', (key) => ({ authorization: `Bearer ${key}`, 'x-api-key': 'other' })],
  ['authorization', (key) => ({ 'x-api-key': key }), 'unauthenticated'],
  ['authorization:token', (key) => ({ authorization: `Token ${key}`, 'x-api-key': 'other' })],
  [
    'authorization:token',
    (key) => ({ authorization: `Bearer ${key}` }),
    'unauthenticated: Authorization must be Token, a space, and one credential',
  ],
  ['either', (key) => ({ 'x-api-key': key, authorization: `bearer  ${key}` })],
  ['either', (key) => ({ 'x-api-key': key, authorization: 'Basic YTpi' }), 'unauthenticated'],
  ['either', (key) => ({ 'x-api-key': `${key}, ${key}` }), 'multiple_credentials'],
  ['either', (key) => ({ authorization: `Bearer ${key}, Bearer ${key}` }), 'multiple_credentials'],
  ['either', (key) => ({ 'x-api-key': key, authorization: 'Bearer other' }), 'multiple_credentials'],
  ['either', (key) => ({ 'x-api-key': '', authorization: `Bearer ${key}` }), 'multiple_credentials'],
  ['either', (key) => ({ 'x-api-key': `${key} ${key}` }), 'invalid_key'],
  ['either', () => ({ 'x-api-key': 'x'.repeat(501) }), 'invalid_key'],
  ['either', () => ({}), 'unauthenticated'],
];

async function decideInTypeScript(options: Partial<VerifierOptions>, headers: Record<string, string> = {}) {
  try {
    const verifier = createVerifier({ baseUrl: deployment.url, apiKey: serviceKey, ...options });
    const request = { method: 'GET', path: '/orders', header: (name: string) => headers[name] };
    const decision = await verifier.verify(request, NEED);
    return decision.valid
      ? decision.caller.organization_id
      : `${decision.rejection.code}: ${decision.rejection.detail}`;
  } catch (error) {
    return (error as Error).message;
  }
}

/** In the words of TypeScript. */
const outcomeOf = ({ error, code, detail, caller }: Decided) =>
  error?.replace(/^base_url/, 'baseUrl').replace(/^api_key/, 'apiKey') ??
  caller?.organization_id ??
  `${code}: ${detail}`;

/** What a program of `test/packages/python` prints about each of the cases, one line for each. */
async function outcomes<Outcome>(program: string, cases: readonly object[]): Promise<Outcome[]> {
  const child = spawn(venv('python'), [join(ROOT, 'test/packages/python', program)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(JSON.stringify(cases));
  const lines = (await text(child.stdout)).trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Outcome);
}

/** What the verifier and the asynchronous verifier decide in each case. */
function decide(cases: Case[]): Promise<[Decided, Decided][]> {
  const options = { base_url: deployment.url, api_key: serviceKey };
  return outcomes(
    'decide.py',
    cases.map((one) => ({ headers: {}, need: NEED, ...one, options: { ...options, ...one.options } })),
  );
}

interface Call {
  readonly call: string;
  readonly args?: readonly unknown[];
  readonly kwargs?: object;
  readonly options?: object;
  readonly pages?: true;
  /** How many items to read. */
  readonly most?: number;
}

interface Called {
  readonly result?: unknown;
  readonly etag?: string | null;
  readonly error?: string;
  readonly code?: string;
  readonly status?: number;
  readonly request_id?: string;
  readonly reason?: string;
  readonly text?: string;
  /** What a log could print of the error. */
  readonly printed?: string;
  /** Whether the error holds another one, which could hold the request. */
  readonly hidden?: boolean;
}

/** `api_keys.list_secrets` of `apiKeys.listSecrets`. */
const pythonName = (name: string) =>
  name
    .replace('GitHub', 'Github')
    .replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    .replace(/\.import$/, '.import_');

const argumentsOf = (route: Route, { params = {}, query, headers, body }: Sample) => ({
  args: Array.from(route.path.matchAll(/[:*](\w+)/g), ([, name]) => params[name!]),
  kwargs: Object.fromEntries([
    ...Object.entries({ ...query, ...headers, ...body }).map(([name, value]) => [
      name === 'from' ? 'from_' : name.replaceAll('-', '_'),
      value,
    ]),
    ...(route.signedBody ? [['content', '{}']] : []),
  ]) as object,
});

type Sent = ReturnType<typeof sentOf>;

/** The parts of a request that have a meaning, without the value of an idempotency key. */
function sentOf(method: string, url: string, headers: IncomingHttpHeaders, body?: string) {
  const { pathname, searchParams } = new URL(url, 'http://keyledger.test');
  const ours = Object.entries(headers).filter(([name]) => /^(x-api-key|if-match|github-)/.test(name));
  return {
    method,
    pathname: decodeURIComponent(pathname),
    query: Object.fromEntries(searchParams),
    headers: { ...Object.fromEntries(ours), 'idempotency-key': 'idempotency-key' in headers },
    body: JSON.parse(body || '{}') as unknown,
  };
}

async function sentInTypeScript(name: string, sample: Sample, apiKey: string): Promise<Sent | undefined> {
  let sent: Sent | undefined;
  const fetch: typeof globalThis.fetch = (input, { method, headers, body } = {}) => {
    const lowerCase = Object.fromEntries(new Headers(headers));
    sent = sentOf(method!, input as string, lowerCase, body as string | undefined);
    return Promise.resolve(new Response('', { status: 400 }));
  };
  const client = createClient({ baseUrl: 'http://keyledger.test', apiKey, idempotencyKeys: true, fetch });
  const [group, operation] = name.split('.') as [string, string];
  const methods = client as unknown as Record<string, Record<string, (input: Sample) => Promise<unknown>>>;
  await methods[group]![operation]!(sample).catch(() => undefined);
  return sent;
}

/** What a proxy before Keyledger does with the n-th request. Without a word, it has responded already, or never does. */
type Trouble = (n: number, response: ServerResponse) => 'pass on' | 'lose the response' | 'echo' | void;

async function passOn(request: IncomingMessage, response: ServerResponse, path: string, what: string) {
  const names = ['x-api-key', 'content-type', 'idempotency-key'].filter((name) => name in request.headers);
  const headers = Object.fromEntries(names.map((name) => [name, String(request.headers[name])]));
  const body = (await request.toArray()).join('');
  const passed = await fetch(deployment.url + path, { method: request.method!, headers, ...(body && { body }) });
  const received = await passed.text();
  const replayed = passed.headers.get('idempotent-replayed');
  if (what === 'lose the response') response.destroy();
  else response.writeHead(passed.status, { ...(replayed && { 'idempotent-replayed': replayed }) }).end(received);
}

/** A call through a proxy that makes trouble, how many requests the client sends, and what comes of it. */
type Troubled = [name: string, call: Call, trouble: Trouble, sent: number | undefined, outcome: Called];

async function troubles(id: string, key: string): Promise<Troubled[]> {
  const create = { call: 'api_keys.create', kwargs: { name: 'Shop', scopes: ['triggers:read'] } };
  const verify = { call: 'api_keys.verify', kwargs: { key, scopes: [] } };
  const get = { call: 'api_keys.get', args: [id] };
  const remove = { call: 'api_keys.delete', args: [id] };
  const impatient = { ...get, options: { timeout: 0.3, retries: 0 } };
  const nowhere = { ...get, options: { base_url: CLOSED_ADDRESS, retries: 1 } };
  const unexpected = (status: number) => ({ error: 'UnexpectedResponse', status });
  const late = { error: 'NoResponse', reason: 'no response within 0.3 s' };
  const away = { error: 'NoResponse' };
  const invalid = { error: 'ValueError' };
  const secret = { error: 'SecretInAddress' };
  const problem = await problemOf(vendor);
  const limited = JSON.stringify({ ...problem, status: 429, code: 'rate_limited' });
  const slowly: Trouble = (_, response) => drip(response.req, response);
  const endlessly: Trouble = (_, response) => void endlessText().pipe(response);
  return [
    ['creates after 503', create, first(503), 2, { result: { name: 'Shop' } }],
    ['creates after 429', create, first(429, { 'retry-after': '1' }), 2, { result: { name: 'Shop' } }],
    ['creates once', create, lost, 2, { error: 'LostSecrets', result: { name: 'Shop' } }],
    ['reads after 502', get, first(502), 2, { result: { id } }],
    ['reads after a lost response', get, lost, 2, { result: { id } }],
    ['verifies after 429', verify, first(429), 2, { result: { valid: true } }],
    ['verifies once, if the response is lost', verify, lost, 1, away],
    ['verifies once, if the server is away', verify, first(503), 1, unexpected(503)],
    [
      'waits no minutes',
      get,
      always(429, limited, { 'retry-after': '600' }),
      1,
      { error: 'ApiError', code: 'rate_limited', status: 429, request_id: problem.request_id },
    ],
    ['gives up', get, always(503, ''), 3, unexpected(503)],
    // On a busy machine, the time may end before the request is sent.
    ['ends a silent call', impatient, () => undefined, undefined, late],
    ['ends a slow response', impatient, slowly, undefined, late],
    ['says that the server is away', nowhere, () => undefined, 0, { error: 'NoResponse', reason: 'ECONNREFUSED' }],
    ['follows no redirect', get, always(307, '', { location: `/?${key}` }), 1, { error: 'UnexpectedRedirect' }],
    ['reads no text', get, always(200, `<html>${key}`), 1, unexpected(200)],
    ['reads no other JSON', get, always(200, `{"id":"${key}"}`), 1, unexpected(200)],
    ['reads no deep JSON', get, always(200, '['.repeat(9_000)), 1, unexpected(200)],
    ['reads no error page', get, always(500, key), 1, unexpected(500)],
    ['reads no endless text', get, endlessly, 1, unexpected(200)],
    ['quotes no broken response', verify, () => 'echo', 1, away],
    ['sends no secret in a path', { call: 'api_keys.get', args: [key] }, first(500), 0, secret],
    ['sends no secret in a query', { call: 'api_keys.list', kwargs: { search: `x${key}y` } }, first(500), 0, secret],
    ['leads to no other path', { call: 'api_keys.delete', args: ['..'] }, first(500), 0, invalid],
    ['drops no filter', { call: 'api_keys.list', kwargs: { project_id: null } }, first(500), 0, invalid],
    // The last one, because it removes the key.
    ['deletes once', remove, lost, 2, { result: null }],
  ];
}

const first =
  (status: number, headers: Record<string, string> = {}): Trouble =>
  (n, response) =>
    n > 1 ? 'pass on' : void response.writeHead(status, headers).end();

const always =
  (status: number, body: string, headers: Record<string, string> = {}): Trouble =>
  (_, response) =>
    void response.writeHead(status, headers).end(body);

const lost: Trouble = (n) => (n > 1 ? 'pass on' : 'lose the response');

/** A problem of the real API. */
async function problemOf({ client }: Account): Promise<Problem> {
  const error = await client.apiKeys.get({ params: { id: 'key_01j0000000e008000000000002' } }).catch((e: unknown) => e);
  return (error as ApiError).problem;
}

describePython('the Python package', () => {
  beforeAll(async () => {
    project = await scratchDirectory('python');
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    const build = `import { buildPythonPackage } from './apps/launcher/python-package.mjs';
    await buildPythonPackage('${project}/dist', '${version}');`;
    await run(process.execPath, ['--input-type=module', '--eval', build], { cwd: ROOT });
    await run(python, ['-m', 'venv', '--without-pip', '--system-site-packages', join(project, 'venv')]);
    const wheel = join(project, 'dist', `keyledger-${version}-py3-none-any.whl`);
    await run(venv('python'), ['-m', 'pip', 'install', '--quiet', '--no-index', wheel]);
    deployment = await startDeployment();
    vendor = await deployment.account();
    serviceKey = (await newKey(['api-keys:verify'])).key;
  });

  afterAll(async () => {
    for (const stop of stops) await stop();
    await deployment.stop();
  });

  describe.each(['fastapi', 'flask'] as const)('an API with %s, as in the README', (framework) => {
    let api: { url: string; printed: () => string };
    beforeAll(async () => {
      api = await startApi(framework);
    });

    it('accepts a good key in either header, knows its owner, and tells the caller its rate limits', async () => {
      const { key } = await newKey(['triggers:read'], {
        rate_limits: [{ name: 'per-hour', limit: 9, window_seconds: 3600 }],
        allowed_ips: ['127.0.0.1'],
      });
      const accepted = await get(`${api.url}/orders`, { 'x-api-key': key });
      expect(accepted).toMatchObject({ status: 200, body: { organization: vendor.organizationId } });
      expect(accepted.headers.get('ratelimit-policy')).toBe('"per-hour";q=9;w=3600');
      const again = await get(`${api.url}/orders`, { authorization: `Bearer ${key}` });
      expect(again.headers.get('ratelimit')).toMatch(/^"per-hour";r=7;t=/);
      if (framework === 'flask') return;
      const own = await get(`${api.url}/text`, { 'x-api-key': key });
      expect(own.headers.get('ratelimit')).toMatch(/^"per-hour";r=6;t=/);
    });

    it('refuses a missing, unknown, revoked and powerless key, with the challenge and the reason', async () => {
      const rejection = async (headers: Record<string, string>) => {
        const { status, body, headers: sent } = await get(`${api.url}/orders`, headers);
        expect([sent.get('content-type'), sent.get('cache-control')]).toEqual(['application/problem+json', 'no-store']);
        expect(body).toEqual({
          type: 'about:blank',
          title: expect.any(String),
          status,
          detail: expect.any(String),
          code: body.code,
        });
        return [status, body.code, sent.get('www-authenticate')];
      };
      const { id, key: revoked } = await newKey(['triggers:read']);
      await vendor.client.apiKeys.delete({ params: { id } });
      const { key: powerless } = await newKey(['triggers:write']);
      const invalid = 'Bearer realm="api", error="invalid_token"';
      expect(await rejection({})).toEqual([401, 'unauthenticated', 'Bearer realm="api"']);
      expect(await rejection({ 'x-api-key': 'nonsense' })).toEqual([401, 'invalid_key', invalid]);
      expect(await rejection({ 'x-api-key': revoked })).toEqual([401, 'revoked', invalid]);
      expect(await rejection({ 'x-api-key': powerless })).toEqual([
        403,
        'insufficient_scope',
        'Bearer realm="api", error="insufficient_scope", scope="triggers:read"',
      ]);
      const two = await rejection({ 'x-api-key': powerless, authorization: `Bearer ${revoked}` });
      expect(two).toEqual([400, 'multiple_credentials', null]);
    });

    it('refuses with 429 and Retry-After a key that has reached its rate limit', async () => {
      const { key } = await newKey(['triggers:read'], {
        rate_limits: [{ name: 'once', limit: 1, window_seconds: 60 }],
      });
      expect((await get(`${api.url}/orders`, { 'x-api-key': key })).status).toBe(200);
      const { status, headers, body } = await get(`${api.url}/orders`, { 'x-api-key': key });
      expect({ status, code: body.code, wait: Number(headers.get('retry-after')) > 0 }).toEqual({
        status: 429,
        code: 'rate_limited',
        wait: true,
      });
      expect(headers.get('ratelimit')).toContain('"once";r=0;');
    });

    it('refuses with 503 while Keyledger is away, and logs why without the keys', async () => {
      const { key } = await newKey(['triggers:read']);
      const { status, headers, body } = await get(`${api.url}/away`, { 'x-api-key': key });
      expect([status, body.code, headers.get('retry-after')]).toEqual([503, 'verification_unavailable', '1']);
      await eventually(
        () => Promise.resolve(api.printed()),
        (printed) => printed.includes('ECONNREFUSED'),
      );
      expect(api.printed()).toContain('Keyledger cannot verify: ECONNREFUSED');
      for (const secret of [key, serviceKey]) expect(api.printed()).not.toContain(secret.slice(-10));
    });

    it('records the request as it was sent, without its query', async () => {
      const { id, key } = await newKey(['triggers:read']);
      await fetch(`${api.url}/orders?token=1`, { headers: { 'x-api-key': key, 'user-agent': 'shop/1.0' } });
      const uses = await eventually(
        () => vendor.client.apiKeys.listEvents({ params: { id }, query: { type: 'api_key.used' } }),
        ({ data }) => data.length > 0,
      );
      expect(uses.data[0]!.event.data).toMatchObject({
        method: 'GET',
        path: '/orders',
        ip: '127.0.0.1',
        user_agent: 'shop/1.0',
      });
    });
  });

  it('refuses with 503 if Keyledger is not well, says why, and names neither key', async () => {
    const KEY = 'kl_live_0123456789abcdefghijklmnopqrstuvwxyz';
    const { key: powerless } = await newKey(['usage:read']);
    const NOT_OURS = /the response is not one of Keyledger$/;
    let asked = 0;
    const listeners: [RegExp, RequestListener, timeout?: number][] = [
      [NOT_OURS, (_, response) => response.end('<html>')],
      [NOT_OURS, (_, response) => response.end('{"valid":true}')],
      [NOT_OURS, (_, response) => response.end('['.repeat(9_000))],
      [NOT_OURS, (_, response) => void endlessText().pipe(response)],
      [/it responded with 500$/, (_, response) => response.writeHead(500).end('Oops')],
      [
        /it responded with 503 overloaded$/,
        (_, response) => response.writeHead(503).end(`{"code":"overloaded","n":${++asked}}`),
      ],
      [/unexpected redirect$/, (_, response) => response.writeHead(307, { location: '/elsewhere' }).end()],
      [/RemoteProtocolError|ECONNRESET$/, (_, response) => response.destroy()],
      // The error of the library quotes it.
      [/RemoteProtocolError|ECONNRESET$/, (incoming) => void incoming.pipe(incoming.socket)],
      [/no response within 0.3 s$/, () => undefined, 0.3],
      [/no response within 0.3 s$/, (_, response) => void response.writeHead(200).write('{"valid"'), 0.3],
      [/no response within 0.3 s$/, drip, 0.3],
    ];
    const cases: [RegExp, object][] = [
      [/ECONNREFUSED$/, { base_url: CLOSED_ADDRESS }],
      [/403 insufficient_scope: the key of your service needs the scope/, { api_key: powerless }],
      [/404 not_found: check base_url$/, { base_url: `${deployment.url}/api/v1` }],
      [/401 invalid_key: check the key of your service$/, { api_key: 'kl_test_unknown' }],
    ];
    for (const [expected, listener, timeout = 60] of listeners) {
      cases.push([expected, { base_url: await serve(listener), timeout }]);
    }
    const results = await decide(cases.map(([, options]) => ({ options, headers: { 'x-api-key': KEY } })));
    for (const [n, [expected]] of cases.entries()) {
      for (const decided of results[n]!) {
        expect(decided).toMatchObject({ status: 503, code: 'verification_unavailable' });
        expect(decided.reasons).toEqual([expect.stringMatching(expected)]);
        expect(JSON.stringify(decided)).not.toMatch(new RegExp(`${KEY.slice(-10)}|${serviceKey.slice(-10)}`));
      }
    }
    // By each of the two verifiers once: a repeated use would count twice.
    expect(asked).toBe(2);
  });

  it('lets nothing pass by a requirement that is not understood, and refuses options that are not usable', async () => {
    const { key } = await newKey(['triggers:read']);
    const needs = [
      {},
      { scope: ['triggers:read'] },
      { scopes: 'triggers:read' },
      { scopes: [''] },
      { scopes: [], cost: -1 },
      { scopes: [], cost: true },
    ];
    const refused = await decide(needs.map((need) => ({ need, headers: { 'x-api-key': key } })));
    for (const { error } of refused.flat())
      expect(error).toMatch(/A requirement must be|unexpected keyword|missing 1 required/);
    const [notOne] = await decide([{ need: ['triggers:read'], headers: { 'x-api-key': key }, log: 'full' }]);
    for (const decided of notOne!) expect(decided).toMatchObject({ status: 503, code: 'verification_unavailable' });
  });

  it('refuses the options that the package for TypeScript refuses', async () => {
    const ours = await decide(OPTIONS.map((options) => ({ options: inPython(options) })));
    for (const [n, options] of OPTIONS.entries()) {
      const theirs = await decideInTypeScript(options);
      for (const decided of ours[n]!) expect([options, outcomeOf(decided)]).toEqual([options, theirs]);
    }
    const usable = OPTIONS.filter((_, n) => ours[n]!.every(({ error }) => !error));
    expect(usable.filter(({ credential }) => credential === undefined)).toEqual([
      { baseUrl: 'https://[::1]:3000/' },
      { baseUrl: 'https://keys.example.com/@ada' },
    ]);
    const places = usable.map(({ credential }) => credential);
    expect(places).toEqual(expect.arrayContaining(['Either', 'x-api-key', 'Partner-Key', 'authorization:token']));
    for (const refused of ['cookie', 'x-forwarded-for', 'authorization:basic', 'a key'])
      expect(places).not.toContain(refused);
  });

  it('finds the key where the API wants it, as the package for TypeScript does, so that other headers belong to the API', async () => {
    const { key } = await newKey(['triggers:read']);
    const cases = SENT.map(([credential, headers]) => ({ options: { credential }, headers: headers(key) }));
    const results = await decide(cases);
    for (const [n, { options, headers }] of cases.entries()) {
      const expected = SENT[n]![2] ?? vendor.organizationId;
      const theirs = await decideInTypeScript(options, headers);
      expect(theirs).toMatch(new RegExp(`^${expected}`));
      for (const decided of results[n]!)
        expect([options, headers, outcomeOf(decided)]).toEqual([options, headers, theirs]);
    }
  });

  it('understands a later Keyledger, whose responses have more fields', async () => {
    const { key } = await newKey(['triggers:read']);
    const verification = await vendor.client.apiKeys.verify({ body: { key, scopes: ['triggers:read'] } });
    const later = { ...verification, later: 1, api_key: { ...verification.api_key, later: 2 } };
    const base_url = await serve((_, response) => response.end(JSON.stringify(later)));
    const [both] = await decide([{ options: { base_url }, headers: { 'x-api-key': key } }]);
    for (const decided of both!)
      expect(decided).toMatchObject({ valid: true, caller: { organization_id: vendor.organizationId } });
  });

  it('verifies in a process that has been forked, and after event loops have ended', async () => {
    const { key } = await newKey(['triggers:read']);
    await writeFile(join(project, 'fork.py'), FORKED);
    const env = { KEYLEDGER: deployment.url, KEYLEDGER_SERVICE_KEY: serviceKey, KEY: key };
    const { stdout } = await run(venv('python'), ['fork.py'], { cwd: project, env });
    expect(stdout.trim().split('\n')).toEqual(['True', 'True', 'True', 'True']);
  });

  it('has types that a strict checker accepts, and that name mistakes', async () => {
    const good = (await example('fastapi')).replaceAll(/^async def .*\)/gm, '$& -> object');
    const mistakes = 'require_key(verifier, scope=["triggers:read"])\nverifier.base_url\n';
    await writeFile(join(project, 'good.py'), good);
    await writeFile(join(project, 'bad.py'), `${good}${mistakes}`);
    await writeFile(join(project, 'good_client.py'), (await programWith('keyledger.client')) + GOOD_CALLS);
    await writeFile(join(project, 'bad_client.py'), BAD_CALLS.map(([line]) => line).join('\n'));
    await writeFile(join(project, 'mypy.ini'), MYPY_SETTINGS);
    const modules = ['good', 'bad', 'good_client', 'bad_client'].flatMap((module) => ['-m', module]);
    const checked = run(venv('python'), ['-m', 'mypy', '-p', 'keyledger', ...modules], { cwd: project });
    const { stdout } = await checked.catch((error: { stdout: string }) => error);
    const errors = stdout.match(/^.*error: .*$/gm) ?? [];
    const ofClient = errors.filter((error) => error.startsWith('bad_client.py'));
    expect(errors.filter((error) => !ofClient.includes(error))).toEqual([
      expect.stringMatching(/^bad\.py.*Unexpected keyword argument "scope"/),
      expect.stringMatching(/^bad\.py.*has no attribute "base_url"/),
    ]);
    const expected = BAD_CALLS.flatMap(([, error], n) => (error ? [`bad_client.py:${n + 1}: error: ${error}`] : []));
    expect(ofClient).toEqual(expected.map((error): unknown => expect.stringContaining(error)));
  });

  describe('the client', () => {
    let apiKey: string;
    beforeAll(async () => {
      apiKey = (await newKey(['api-keys:manage', 'api-keys:verify', 'triggers:read'])).key;
    });

    /** The outcomes of both clients, the asynchronous one second. */
    const call = (calls: readonly Call[]) =>
      outcomes<[Called, Called]>(
        'call.py',
        calls.map((one) => ({
          ...one,
          options: { base_url: deployment.url, api_key: apiKey, timeout: 60, ...one.options },
        })),
      );

    it('has each operation, and sends what the client for TypeScript sends', async () => {
      const world = await newWorld(deployment, vendor, await deployment.operator());
      const table = allRoutes().map(({ name, route }) => ({ name, route, sample: samples[name]!(world) }));
      const received: Sent[] = [];
      const base_url = await serve((request, response) => {
        let body = '';
        request.on('data', (part: Buffer) => (body += part.toString()));
        request.on('end', () => {
          received.push(sentOf(request.method!, request.url!, request.headers, body));
          response.writeHead(400).end();
        });
      });
      const calls = table.map(({ name, route, sample }) => ({
        call: pythonName(name),
        ...argumentsOf(route, sample),
        options: { base_url },
      }));
      for (const both of await call(calls)) for (const { error } of both) expect(error).toBe('UnexpectedResponse');
      for (const [n, { name, sample }] of table.entries()) {
        const theirs = await sentInTypeScript(name, sample, apiKey);
        expect([name, ...received.slice(2 * n, 2 * n + 2)]).toEqual([name, theirs, theirs]);
      }
      expect(received).toHaveLength(2 * table.length);
      const reference = await readFile(join(project, 'dist/REFERENCE.md'), 'utf8');
      for (const { name } of table) expect(reference).toContain(`### \`${pythonName(name)}\``);
    });

    it('runs the program of the README', async () => {
      const program = (await programWith('keyledger.client')).replace('https://keys.example.com', deployment.url);
      await writeFile(join(project, 'client.py'), program);
      const env = { KEYLEDGER_API_KEY: apiKey };
      const { stdout } = await run(venv('python'), ['client.py'], { cwd: project, env });
      expect(stdout).toContain('Production active\n');
    });

    it('creates keys, lists them page by page, rotates, changes, revokes and deletes them', async () => {
      const names = ['Paged 1', 'Paged 2', 'Paged 3'];
      const made = await call(
        names.map((name) => ({ call: 'api_keys.create', kwargs: { name, scopes: ['triggers:read'] } })),
      );
      const [{ id, key }] = made.map(([sync]) => sync.result as { id: string; key: string }) as [
        { id: string; key: string },
      ];
      const list = {
        call: 'api_keys.list',
        kwargs: { search: 'Paged', limit: 4, sort: 'created_at', never_expires: true },
      };
      const [listed, pages] = (await call([list, { ...list, pages: true }])) as [[Called, Called], [Called, Called]];
      for (const { result } of listed) {
        const expected = made.flat().map((one) => (one.result as { id: string }).id);
        expect((result as { id: string }[]).map((one) => one.id)).toEqual(expected);
      }
      for (const { result } of pages) {
        expect(result).toMatchObject([
          { total: 6, data: [{}, {}, {}, {}] },
          { data: [{}, {}], next_cursor: null },
        ]);
      }

      const args = [id];
      const [rotated, changed] = await call([
        { call: 'api_keys.rotate', args, kwargs: { grace_period_seconds: 3600 } },
        { call: 'api_keys.update', args, kwargs: { description: null, metadata: { team: 'shop' } } },
      ]);
      for (const one of [key, (rotated![1].result as { key: string }).key]) {
        const verification = await vendor.client.apiKeys.verify({ body: { key: one, scopes: ['triggers:read'] } });
        expect(verification.valid).toBe(one !== key);
      }
      const [renamed, revoked, whoami, deleted, missing] = await call([
        { call: 'api_keys.update', args, kwargs: { name: 'Renamed', if_match: changed![1].etag } },
        { call: 'api_keys.revoke', args },
        { call: 'auth.whoami' },
        { call: 'api_keys.delete', args: [(made[1]![0].result as { id: string }).id] },
        { call: 'api_keys.get', args: ['key_01j0000000e008000000000002'] },
      ]);
      expect(changed![1]).toMatchObject({ result: { metadata: { team: 'shop' } }, etag: expect.any(String) });
      expect(renamed).toMatchObject([{ result: { name: 'Renamed' } }, { code: 'precondition_failed', status: 412 }]);
      expect(revoked).toMatchObject([{ result: { status: 'revoked' } }, {}]);
      expect(whoami).toMatchObject([{ result: { type: 'api_key' } }, { result: { type: 'api_key' } }]);
      expect(deleted).toMatchObject([{ result: null }, { error: 'ApiError', code: 'not_found' }]);
      for (const { error, status, request_id } of missing!)
        expect([error, status, request_id]).toEqual(['ApiError', 404, expect.stringMatching(/^req_/)]);
    });

    it('reads texts, lines and events that go on arriving', async () => {
      const options = { api_key: null, access_token: vendor.accessToken };
      const [tail, lines, vkeys] = await call([
        { call: 'audit.tail', kwargs: { last_event_id: '0' }, most: 2, options },
        { call: 'audit.export_events', kwargs: { format: 'jsonl', type: 'api_key.*' }, most: 2, options },
        { call: 'audit.vkeys', args: [vendor.organizationId], options },
      ]);
      for (const nth of [0, 1] as const) {
        expect(tail![nth].result).toMatchObject([{ leaf_index: 1, event: { data: {} } }, { leaf_index: 2 }]);
        const [first] = lines![nth].result as string[];
        expect(first!.endsWith('\n')).toBe(true);
        expect(JSON.parse(first!)).toMatchObject({ leaf_index: expect.any(Number) });
        expect(vkeys![nth].result).toContain(vendor.organizationId);
      }
    });

    it('repeats what is safe to repeat, and raises a documented error that holds no secret', async () => {
      const { id, key } = await newKey(['triggers:read']);
      const table = await troubles(id, key);
      const requests: Record<'sync' | 'async', IncomingHttpHeaders[][]> = { sync: [], async: [] };
      const base_url = await serve((request, response) => {
        const [, client, n] = request.url!.split('/') as [string, 'sync' | 'async', string];
        const sent = (requests[client][Number(n)] ??= []);
        sent.push(request.headers);
        const what = table[Number(n)]![2](sent.length, response);
        if (what === 'echo') request.pipe(request.socket);
        else if (what) void passOn(request, response, request.url!.replace(`/${client}/${n}`, ''), what);
      });
      const results = await call(
        table.map(([, one], n) => ({ ...one, options: { base_url: `${base_url}/CLIENT/${n}`, ...one.options } })),
      );
      for (const [n, [name, , , sent, expected]] of table.entries()) {
        for (const client of ['sync', 'async'] as const) {
          const { printed = '', hidden = false, ...called } = results[n]![client === 'sync' ? 0 : 1];
          const received = requests[client][n] ?? [];
          const keys = new Set(received.map((headers) => headers['idempotency-key']));
          const number = received.length;
          const seen = { name, client, hidden, ...called, sent: number, keys: keys.size };
          const requested = { sent: sent ?? number, keys: Math.min(number, 1) };
          expect(seen).toMatchObject({ name, client, hidden: false, ...expected, ...requested });
          for (const secret of [key, apiKey]) expect(printed).not.toContain(secret.slice(-10));
        }
      }
    });

    it('names options that are not usable', async () => {
      const refused = await call(
        [
          { base_url: 'keys.example.com' },
          { api_key: 'two words' },
          { access_token: 'Bearer ey' },
          { timeout: 0 },
          { retries: -1 },
        ].map((options) => ({
          call: 'auth.whoami',
          options,
        })),
      );
      expect(refused.map(([{ text }]) => text)).toEqual([
        expect.stringMatching(/^base_url must be the address of Keyledger/),
        'api_key must be one word without spaces.',
        'access_token must be one word without spaces.',
        'timeout must be a number of seconds above 0.',
        'retries must be a whole number from 0 on.',
      ]);
    });
  });
});
