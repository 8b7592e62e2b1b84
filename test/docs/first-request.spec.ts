import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { transform } from '@swc/core';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freePort } from '../../apps/cli/free-port.js';
import { stackNames, type StackName } from '../../apps/dashboard/start/start-search.js';
import { addressOf, snippetOf, stacks, type Values } from '../../apps/dashboard/start/stacks.js';
import { isInstalled, isListening, programs, runGateway } from '../gateways/programs.js';
import { startUpstream, type Upstream } from '../gateways/upstream.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { leftOut } from '../support/left-out.js';

const docs = join(import.meta.dirname, '../../docs');
/** Go compiles the standard library first. */
const STARTS_WITHIN_MS = 120_000;
const SCOPE = 'orders:read';

let deployment: Deployment;
let ada: Account;
let upstream: Upstream;
let key: string;
let serviceKey: string;

beforeAll(async () => {
  deployment = await startDeployment({ env: { APP_SCOPES: 'orders:read,orders:write', TRUST_PROXY: '127.0.0.1' } });
  ada = await deployment.account();
  upstream = await startUpstream();
  const create = (scope: string) => ada.client.apiKeys.create({ body: { name: scope, scopes: [scope] } });
  key = (await create(SCOPE)).key;
  serviceKey = (await create('api-keys:verify')).key;
});

afterAll(async () => {
  upstream.stop();
  await deployment.stop();
});

const snippet = (name: StackName, values: Values) =>
  snippetOf(name, readFileSync(join(docs, stacks[name].source), 'utf8'), values);

const values = async (): Promise<Values> => ({
  url: deployment.url,
  scope: SCOPE,
  port: await freePort(),
  upstreamPort: upstream.port,
});

/** Saves the snippet as the page says and starts it. @returns what ends it */
async function startService(name: StackName, placed: Values, port: number, servedBy = serviceKey) {
  const directory = await mkdtemp(join(tmpdir(), 'keyledger-first-request-'));
  const file = join(directory, stacks[name].source.replace(/.*\//, ''));
  const text = snippet(name, placed);
  const isTypeScript = file.endsWith('.ts');
  await writeFile(join(directory, 'package.json'), '{ "type": "module" }');
  await symlink(join(import.meta.dirname, '../../node_modules'), join(directory, 'node_modules'));
  await writeFile(file, text);
  if (isTypeScript) await writeFile(`${file}.mjs`, (await transform(text, { swcrc: false, ...asNestCompiles })).code);
  const [command, ...args] = commandOf(name, isTypeScript ? `${file}.mjs` : file);
  const env = { ...process.env, PORT: String(port), KEYLEDGER_SERVICE_KEY: servedBy };
  const child: ChildProcess = spawn(command!, args, {
    cwd: directory,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  let output = '';
  child.stderr!.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  const exited = once(child, 'exit');
  const stop = async () => {
    // `go run` starts the program as a child of its own.
    if (child.exitCode === null) process.kill(-child.pid!);
    await exited;
    await rm(directory, { recursive: true });
  };
  await eventually(async () => child.exitCode !== null || (await isListening(port)), Boolean, STARTS_WITHIN_MS);
  if (child.exitCode !== null) {
    await stop();
    throw new Error(`The snippet for ${name} does not start: ${output}`);
  }
  return stop;
}

/** The options of a new Nest project. */
const asNestCompiles = {
  jsc: {
    target: 'es2022',
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true },
  },
  module: { type: 'es6' },
} as const;

function commandOf(name: StackName, file: string): string[] {
  if (name === 'python') return ['python3', file];
  if (name === 'go') return ['go', 'run', file];
  return [process.execPath, file];
}

/** A stack whose program this machine has. */
function isHere(name: StackName): boolean {
  const needed = { python: ['python3', '--version'], go: ['go', 'version'] }[name as string];
  if (name === 'nginx') return isInstalled(programs.nginx);
  if (name === 'caddy') return isInstalled(programs.Caddy);
  return !needed || spawnSync(needed[0]!, needed.slice(1)).status === 0;
}

const ask = (address: string, secret?: string) =>
  fetch(address, secret === undefined ? {} : { headers: { 'x-api-key': secret } });

/** The two commands of the page, and a request without a key. */
async function expectDecisions(address: string) {
  const usesBefore = await uses();
  const good = await ask(address, key);
  expect([good.status, await good.text()]).toEqual([200, expect.any(String)]);
  const bad = await ask(address, 'sk_test_wrong');
  expect([bad.status, (await bad.text()).includes('invalid_key')]).toEqual([401, true]);
  expect((await ask(address)).status).toBe(401);
  expect((await ask(address, serviceKey)).status).toBe(403);
  // This is what ticks the last step.
  await eventually(uses, (count) => count > usesBefore);
}

async function expectUnavailable(address: string) {
  expect((await ask(address, key)).status).toBe(503);
}

const uses = async () =>
  (await ada.client.usage.ofOrganization({ params: { id: ada.organizationId }, query: {} })).totals.uses;

describe('the snippet of the first steps', () => {
  for (const name of stackNames.filter((stack) => stacks[stack].place === 'service')) {
    const here = isHere(name);
    if (!here) leftOut(`the first steps with ${name}`, `install ${name}`);
    (here ? it : it.skip)(
      `for ${name} accepts a good key, refuses a bad one, and fails closed`,
      async () => {
        const port = await freePort();
        const placed = { ...(await values()), upstreamPort: port };
        const stop = await startService(name, placed, port);
        try {
          await expectDecisions(addressOf(name, placed));
        } finally {
          await stop();
        }
        // Keyledger refuses the service itself: the fault is not the caller's.
        const stopUnkeyed = await startService(name, placed, port, 'sk_test_wrong');
        try {
          await expectUnavailable(addressOf(name, placed));
        } finally {
          await stopUnkeyed();
        }
      },
      STARTS_WITHIN_MS * 2,
    );
  }

  for (const [name, program] of [
    ['nginx', 'nginx'],
    ['caddy', 'Caddy'],
  ] as const) {
    const here = isHere(name);
    if (!here) leftOut(`the first steps with ${name}`, `apt-get install ${name}`);
    (here ? it : it.skip)(`for ${name} accepts a good key and refuses a bad one`, async () => {
      const placed = await values();
      const gateway = await runGateway(program, placed.port, snippet(name, placed));
      try {
        await expectDecisions(addressOf(name, placed));
      } finally {
        await gateway.stop();
      }
    });
  }

  it('for curl prints a 200 for a good key and a 401 for a bad one', async () => {
    const placed = await values();
    const run = (secret: string) =>
      outputOf(['bash', '-c', snippet('curl', placed)], { ...process.env, API_KEY: secret });
    expect(await run(key)).toMatch(/^HTTP\/1\.1 200/);
    expect(await run('sk_test_wrong')).toMatch(/^HTTP\/1\.1 401/);
    await expectDecisions(addressOf('curl', placed));
  });

  it('leaves no example address or scope of the document in what is shown', async () => {
    const placed: Values = { url: 'https://keys.example.net', scope: SCOPE, port: 8081, upstreamPort: 8080 };
    for (const name of stackNames) {
      const text = snippet(name, placed);
      expect(text).not.toContain('triggers:read');
      expect(text).not.toContain('api.example.com');
      // A gateway reaches a deployment behind TLS by another address, which the page asks for.
      if (stacks[name].block === undefined) expect(text).not.toContain('127.0.0.1:3000');
    }
  });
});

/** Asynchronously, because this process is also the server. */
async function outputOf([command, ...args]: string[], env: NodeJS.ProcessEnv): Promise<string> {
  const child = spawn(command!, args, { env, stdio: ['ignore', 'pipe', 'ignore'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  await once(child, 'close');
  return output;
}
