import { existsSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createClient } from '#libs/client/client.js';
import { startProcesses, type Processes } from '../faults/processes.js';
import { leftOut } from '../support/left-out.js';
import { HEADERS, JSON_TEXTS, TEXTS, type Repeated } from './repeated-texts.js';
import { jsonText, valuesOf, type JsonSchema } from './schema-values.js';
import { builtModule } from '../support/built-module.js';

const { newOperatorLink } = await builtModule<typeof import('../../apps/cli/operator-link.js')>(
  '../../apps/cli/operator-link.js',
);

/**
 * The work for a request grows in proportion to its length, whatever the request contains. For each route, each header,
 * parameter and body field gets texts that repeat something, up to the limit and beyond it. Time is the CPU time of the
 * serving thread, which other programs on the machine hardly change, and the shortest of several tries counts.
 * `DOUBLING_SECONDS` makes a run longer, `DOUBLING_SEED` changes the selection. Anonymous requests come first.
 */
const SEED = Number(process.env['DOUBLING_SEED'] ?? 20_261_128);
const SECONDS = Number(process.env['DOUBLING_SECONDS'] ?? 5);

/** The test does not look further at requests that take less than this. */
const SUSPICIOUS_MS = 10;
/** One request may hold up all others for this long. */
const MAX_MS = 60;
const TRIES = 7;
/** Eight times the length takes 8 times the time if the work is linear, and 64 times if it is quadratic. */
const MAX_GROWTH = 20;
const MAX_REFUSAL_BYTES = 32 * 1024;

const LONGEST_HEADER = 14_000;
const LONGEST_BODY = 60_000;

interface Operation {
  readonly operationId: string;
  readonly security?: readonly unknown[];
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: JsonSchema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>> };
}

interface Wire {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/** A part of a request that a text can fill. */
interface Place {
  readonly what: string;
  readonly isAnonymous: boolean;
  /** The number of its route, counted among the anonymous routes or among the others. */
  readonly route: number;
  readonly longest: number;
  readonly pumps: readonly Repeated[];
  readonly wire: (text: string) => Wire;
}

let processes: Processes;
let url: URL;
let places: Place[];
const routes = { anonymous: 0, others: 0 };
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

/** An access token is valid for ten minutes, a long run takes hours. */
const RENEW_MS = 300_000;
const operator = { email: 'ada@example.com', password: 'quiet harbour nine lamps' };
let accessToken: string;
let signedInAt: number;

beforeAll(async () => {
  processes = await startProcesses({
    apis: 1,
    env: {
      TRUST_PROXY: 'loopback',
      REGISTRATIONS_PER_MINUTE: '1000000',
      LEAKED_KEY_REPORTS_PER_MINUTE: '1000000',
      LOG_LEVEL: 'info',
      // Otherwise the lists grow with the run.
      MAX_KEYS_PER_ORGANIZATION: '50',
      MAX_PROJECTS_PER_ORGANIZATION: '50',
      MAX_ORGANIZATIONS_PER_USER: '10',
    },
  });
  url = new URL(processes.apis[0]!.url);
  const { token } = await newOperatorLink(processes.database.apiUrl, 'http://keyledger.test', null);
  await createClient({ baseUrl: url.origin }).auth.register({
    body: { ...operator, name: 'Ada', invitation_token: token },
  });
  await signIn();
  const ids = await createObjects();
  places = placesIn(await (await fetch(new URL('/openapi.json', url))).json(), ids);
});

async function signIn(): Promise<void> {
  ({ access_token: accessToken } = await createClient({ baseUrl: url.origin }).auth.login({ body: operator }));
  signedInAt = performance.now();
}

/** Objects that exist, so that the service reads the rest of a request that names them. */
interface Ids {
  readonly organization: string;
  /** What an operator may suspend and limit without an effect on the other requests. */
  readonly another: string;
  readonly project: string;
  readonly key: string;
}

async function createObjects(): Promise<Ids> {
  const api = createClient({ baseUrl: url.origin, accessToken });
  const organization = await api.organizations.create({ body: { name: 'Team' } });
  const another = await api.organizations.create({ body: { name: 'Another team' } });
  const project = await api.projects.create({ body: { name: 'Shop', organization_id: organization.id } });
  const key = await api.apiKeys.create({
    body: { name: 'Key', organization_id: organization.id, scopes: ['triggers:read'] },
  });
  return { organization: organization.id, another: another.id, project: project.id, key: key.id };
}

/** The object that the path names. A request that would end it names one that does not exist. */
function idIn(path: string, method: string, ids: Ids): string {
  if (method === 'DELETE' || path.endsWith('/revoke')) return GOOD_ID;
  if (path.startsWith('/api/v1/deployment/organizations/')) return ids.another;
  if (path.startsWith('/api/v1/organizations/')) return ids.organization;
  if (path.startsWith('/api/v1/projects/')) return ids.project;
  return path.startsWith('/api/v1/api-keys/') ? ids.key : GOOD_ID;
}

afterAll(async () => {
  agent.destroy();
  await processes.stop();
});

/** Stands for the access token of the time of the request. */
const CREDENTIAL = 'Bearer CREDENTIAL';
const GOOD_ID = 'key_01h455vb4pex5vsknk084sn02q';

function placesIn(document: unknown, ids: Ids): Place[] {
  const { paths, components } = document as {
    paths: Record<string, Record<string, Operation>>;
    components: { schemas: Record<string, JsonSchema> };
  };
  const resolve = (ref: string) => components.schemas[ref.split('/').at(-1)!]!;
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      // These end the session that all others use.
      .filter(([, { operationId }]) => !/logout|Session|changePassword/.test(operationId))
      .flatMap(([method, operation]) => placesOf(method.toUpperCase(), path, operation, ids, resolve)),
  );
  const others = ['/', '/authz', '/authz/customers/{id}', '/docs', '/assets/{id}', '/openapi.json', '/{id}'].flatMap(
    (path) => placesOf('GET', path, { operationId: path, security: [] }, ids, resolve),
  );
  const preflights = placesOf('OPTIONS', '/api/v1/api-keys', { operationId: 'preflight', security: [] }, ids, resolve);
  return [...described, ...others, ...preflights];
}

function placesOf(
  method: string,
  path: string,
  { operationId, security, parameters = [], requestBody }: Operation,
  ids: Ids,
  resolve: (ref: string) => JsonSchema,
): Place[] {
  const isAnonymous = security?.length === 0;
  const route = (routes[isAnonymous ? 'anonymous' : 'others'] += 1);
  const schema = requestBody?.content['application/json']?.schema;
  const body =
    schema && (fc.sample(valuesOf(schema, resolve), { seed: SEED, numRuns: 1 })[0] as Record<string, unknown>);
  if (body && 'email' in body) body['email'] = EMAIL;
  if (body && 'organization_id' in body) body['organization_id'] = ids.organization;
  if (body && 'project_id' in body) body['project_id'] = ids.project;
  const good: Wire = {
    method,
    target: path.replace(/\{\w+\}/, idIn(path, method, ids)).replace(/\{\w+\}/g, GOOD_ID),
    headers: {
      ...(!isAnonymous && { authorization: CREDENTIAL }),
      ...(schema && { 'content-type': 'application/json' }),
      ...(method === 'OPTIONS' && { origin: 'https://a.example', 'access-control-request-method': 'GET' }),
      ...(path === '/authz/customers/{id}' && { 'x-authz-scope': 'none' }),
    },
    body: schema ? jsonText(body) : null,
  };
  const place = (what: string, longest: number, wire: Place['wire'], pumps: Place['pumps'] = TEXTS): Place => ({
    what: `${operationId}, ${what}`,
    isAnonymous,
    route,
    longest,
    pumps,
    wire,
  });
  // With a password in the body, each request would run Argon2id, which takes long in another thread.
  const quick = body && 'password' in body ? { ...good, body: '{}' } : good;
  const ofHeaders = HEADERS.map((name) =>
    place(name, LONGEST_HEADER, (text) => ({ ...quick, headers: { ...quick.headers, [name]: text } })),
  );
  const ofQuery = [...parameters.filter((one) => one.in === 'query').map(({ name }) => `${name}=`), ''].map((name) =>
    place(`the query ${name}`, LONGEST_HEADER, (text) => ({
      ...quick,
      target: `${good.target}?${name}${inUrl(text)}`,
    })),
  );
  const ofPath = place('its path', LONGEST_HEADER, (text) => ({
    ...quick,
    target: path.includes('{') ? path.replace(/\{\w+\}/g, inUrl(text)) : `${path}/${inUrl(text)}`,
  }));
  if (!schema) return [...ofHeaders, ...ofQuery, ofPath];
  const wholeBody = place('its body', LONGEST_BODY, (text) => ({ ...good, body: text }), JSON_TEXTS);
  const ofFields = Object.entries(fieldsOf(schema, resolve)).flatMap(([name, field]) => {
    const other = Object.fromEntries(Object.entries(body!).filter(([one]) => one !== name));
    const wire = (value: string): Wire => ({
      ...good,
      body: `${JSON.stringify(other).slice(0, -1)}${Object.keys(other).length > 0 ? ',' : ''}${JSON.stringify(name)}:${value}}`,
    });
    const texts = [...new Set([longestText(field, resolve) ?? LONGEST_BODY, LONGEST_BODY])].map((longest) =>
      place(`body.${name} of ${longest}`, longest, (text) => wire(JSON.stringify(text))),
    );
    return [...texts, place(`body.${name} as JSON`, LONGEST_BODY, wire, JSON_TEXTS)];
  });
  return [...ofHeaders, ...ofQuery, ofPath, wholeBody, ...ofFields];
}

const inUrl = (text: string) => text.replaceAll(' ', '+').replaceAll('"', '%22');

function fieldsOf(schema: JsonSchema, resolve: (ref: string) => JsonSchema): Readonly<Record<string, JsonSchema>> {
  if (schema.$ref) return fieldsOf(resolve(schema.$ref), resolve);
  return schema.properties ?? {};
}

function longestText(schema: JsonSchema, resolve: (ref: string) => JsonSchema): number | undefined {
  if (schema.$ref) return longestText(resolve(schema.$ref), resolve);
  return schema.maxLength ?? schema.anyOf?.map((one) => longestText(one, resolve)).find(Boolean);
}

/** The CPU time of the serving thread until now, in milliseconds. */
function spent(): number {
  const { pid } = processes.apis[0]!;
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ', 1)[0]) / 1e6;
}

interface Response {
  readonly status: number;
  readonly bytes: number;
}

/** Each request has another client and another account. Otherwise the API would soon delay sign-ins. */
let client = 0;
const EMAIL = 'someone@example.com';

function send({ method, target, headers, body }: Wire): Promise<Response> {
  client += 1;
  const content = body?.replace(EMAIL, `${client}.${EMAIL}`);
  const from = `10.${client >> 16}.${(client >> 8) & 255}.${client & 255}`;
  return new Promise((settle) => {
    const sent = request(
      {
        host: url.hostname,
        port: url.port,
        agent,
        method,
        path: target,
        headers: {
          'x-forwarded-for': from,
          ...headers,
          ...(headers['authorization'] === CREDENTIAL && { authorization: `Bearer ${accessToken}` }),
          ...(content !== undefined && { 'content-length': Buffer.byteLength(content) }),
        },
      },
      (response) => {
        let bytes = 0;
        const done = () => settle({ status: response.statusCode!, bytes });
        response.on('data', (chunk: Buffer) => (bytes += chunk.length));
        response.on('end', done).on('error', done);
        if (response.headers['content-type']?.startsWith('text/event-stream')) {
          done();
          response.destroy();
        }
      },
    );
    // The server may reject a request that is too large before it has read all of it.
    sent.on('error', () => settle({ status: 0, bytes: 0 }));
    sent.end(content);
  });
}

async function timeOf(wire: Wire): Promise<{ ms: number; response: Response }> {
  if (performance.now() - signedInAt > RENEW_MS) await signIn();
  const before = spent();
  const response = await send(wire);
  return { ms: spent() - before, response };
}

interface Attack {
  readonly place: Place;
  readonly pump: Repeated;
}

/** No text is sent twice, because a cache could respond to the second one. */
function wireOf({ place, pump: [begin, pump, end] }: Attack, length: number): Wire {
  const own = place.pumps === TEXTS ? String(client) : '';
  return place.wire(begin + pump.repeat(length / pump.length) + own + end);
}

async function leastTime(attack: Attack, length: number, tries = TRIES): Promise<number> {
  const times: number[] = [];
  for (let attempt = 0; attempt < tries; attempt++) times.push((await timeOf(wireOf(attack, length))).ms);
  return Math.min(...times);
}

/** Describes what is wrong with the time that the attack takes. Undefined if nothing is wrong. */
async function slowness(attack: Attack): Promise<string | undefined> {
  const { longest } = attack.place;
  const whole = await leastTime(attack, longest, 2);
  if (whole <= SUSPICIOUS_MS || (whole <= MAX_MS && whole < 3 * (await leastTime(attack, Math.floor(longest / 8), 2))))
    return undefined;
  const times: number[] = [];
  for (const part of [1 / 8, 1 / 4, 1 / 2, 1, 2]) times.push(await leastTime(attack, Math.floor(longest * part)));
  const [short, , , long, beyond] = times as [number, number, number, number, number];
  const isSlow = long > MAX_MS || beyond > MAX_MS;
  const grows = long > SUSPICIOUS_MS && long > MAX_GROWTH * short;
  const isRefusedLate = beyond > SUSPICIOUS_MS && beyond > 4 * long;
  return isSlow || grows || isRefusedLate ? `${times.map((time) => time.toFixed(1)).join(', ')} ms` : undefined;
}

function faultOf({ status, bytes }: Response): string | undefined {
  if (status >= 500 && status !== 503) return `status ${status}`;
  return status >= 400 && bytes > MAX_REFUSAL_BYTES ? `${bytes} bytes with status ${status}` : undefined;
}

/**
 * The rounds over the anonymous routes that always run, however long they take. In these rounds, each header gets every
 * text on one of the routes.
 */
const LEAST_ROUNDS = 3;

/** Places that only one of the anonymous routes reads. They get every text on that route. */
const IN_FULL = new Set([
  'preflight, origin',
  'preflight, access-control-request-headers',
  '/authz, authorization',
  '/authz, x-api-key',
  '/authz, the query ',
  '/authz/customers/{id}, x-authz-scope',
  '/authz/customers/{id}, x-forwarded-uri',
  '/authz/customers/{id}, x-forwarded-for',
]);

/**
 * In each round, every place gets one text, in an order that depends on the seed. The routes get different texts, and
 * the next round continues with the texts that follow: after a few rounds, each header has got every text on some
 * route. The anonymous places come first.
 */
function attacksInOrder(): { readonly least: Attack[]; readonly more: Attack[] } {
  const roundsOf = (some: readonly Place[], ofAll: number) =>
    Array.from({ length: TEXTS.length }, (_, round) => {
      const attacks = some.flatMap((place) => {
        const pump = place.pumps[(place.route + round * ofAll + SEED) % place.pumps.length]!;
        return round < place.pumps.length ? [{ place, pump }] : [];
      });
      const shuffled = fc.shuffledSubarray(attacks, { minLength: attacks.length });
      return fc.sample(shuffled, { seed: SEED + round, numRuns: 1 })[0]!;
    });
  const anonymous = roundsOf(
    places.filter(({ isAnonymous }) => isAnonymous),
    routes.anonymous,
  );
  const others = roundsOf(
    places.filter(({ isAnonymous }) => !isAnonymous),
    routes.others,
  );
  const inFull = places.filter(({ what }) => IN_FULL.has(what));
  const least = [
    ...inFull.flatMap((place) => place.pumps.map((pump) => ({ place, pump }))),
    ...anonymous.splice(0, LEAST_ROUNDS).flat(),
  ];
  return { least, more: [...others.splice(0, 1), ...anonymous, ...others].flat() };
}

it(
  'no text in any place takes more than linear work',
  async () => {
    if (!existsSync('/proc/self/schedstat')) return leftOut('the work for long inputs', 'run the tests on Linux');
    const { least, more } = attacksInOrder();
    const attacks = [...least, ...more];
    const deadline = performance.now() + SECONDS * 1000;
    const faults: string[] = [];
    const statuses = new Map<number, number>();
    let sent = 0;
    let longest = 0;
    for (const attack of attacks) {
      if ((sent >= least.length && performance.now() > deadline) || faults.length >= 10) break;
      const { longest: length, what } = attack.place;
      const { ms, response } = await timeOf(wireOf(attack, length));
      sent += 1;
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      const fault = faultOf(response) ?? (ms > SUSPICIOUS_MS ? await slowness(attack) : undefined);
      if (fault) faults.push(`${what}: ${JSON.stringify(attack.pump)}: ${fault}`);
      else longest = Math.max(longest, ms);
    }
    const counts = JSON.stringify(Object.fromEntries([...statuses].toSorted(([one], [other]) => one - other)));
    const anonymous = places.filter(({ isAnonymous }) => isAnonymous).length;
    console.info(
      `seed ${SEED}, ${SECONDS} s: ${sent} of ${attacks.length} attacks on ${anonymous} anonymous places and ${places.length - anonymous} ` +
        `others, ${longest.toFixed(1)} ms at most: ${counts}`,
    );
    expect(faults).toEqual([]);
    expect(processes.failures).toEqual([]);
  },
  (SECONDS + 120) * 1000,
);
