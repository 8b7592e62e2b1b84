// Starts the service of a checkout as a user does, does the main job over HTTP, stops it and checks what is left.
// usage: node smoke.mjs CHECKOUT COMMAND [ARGUMENT ...]
// Prints a line `ok: …` or `not ok: …` for each check; the exit code is 0 when all are ok.
import { spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_START_S = 300;
const WARM_START_S = 20;
const STOP_S = 30;
/** An event appears in the audit log within this time after its response. */
const VISIBLE_S = 2;

const [checkout, program, ...args] = process.argv.slice(2);
const port = await freePort();
const url = `http://127.0.0.1:${port}`;
/** Every process that starts from here has this variable in its environment, whatever its parent process is. */
const MARK = 'SMOKE_TEST_OF';
const mark = `${MARK}=${randomBytes(12).toString('hex')}`;
/** When each process below the service began. A pid alone is not enough, because another process may have it by now. */
const seen = new Map();

const account = {
  email: `smoke-${randomBytes(6).toString('hex')}@example.com`,
  password: `quiet ${randomBytes(9).toString('hex')} harbour`,
};

let service = start();
try {
  const seconds = await ready(FIRST_START_S);
  check(`the first start is ready (${seconds.toFixed(1)} s)`, true);
  const key = await mainJob();
  if (await stop()) {
    service = start();
    const warm = await ready(60);
    check(`a warm start is ready within ${WARM_START_S} s (${warm.toFixed(1)} s)`, warm <= WARM_START_S);
    check('a key outlives a restart', (await call('GET', '/api/v1/whoami', { key })).status === 200);
    await stop();
  }
} catch (error) {
  check(error.stack, false, service.output());
} finally {
  remember();
  for (const { pid } of leftRunning()) process.kill(pid, 'SIGKILL');
}

async function mainJob() {
  const registered = await call('POST', '/api/v1/auth/register', { body: { ...account, name: 'Smoke' } });
  check('registers', registered.status === 201, registered);
  const login = await call('POST', '/api/v1/auth/login', { body: account });
  check('logs in', login.status === 200, login);
  const token = login.body.access_token;

  const created = await call('POST', '/api/v1/api-keys', { token, body: { name: 'Smoke', scopes: ['triggers:read'] } });
  check('creates a key', created.status === 201, created);
  const used = await call('GET', '/api/v1/whoami', { key: created.body.key });
  check('uses it', used.status === 200 && used.body.api_key?.id === created.body.id, used);

  const rotated = await call('POST', `/api/v1/api-keys/${created.body.id}/rotate`, { token });
  check('rotates it', rotated.status === 200, rotated);
  const old = await call('GET', '/api/v1/whoami', { key: created.body.key });
  check('the old secret is dead', old.status === 401, old);
  const fresh = await call('GET', '/api/v1/whoami', { key: rotated.body.key });
  check('the new secret works', fresh.status === 200, fresh);

  const wanted = ['api_key.created', 'api_key.used', 'api_key.rotated', 'api_key.used'];
  const events = await within(VISIBLE_S, async () => {
    const response = await call('GET', `/api/v1/audit/events?order=asc&key_id=${created.body.id}`, { token });
    const types = response.body.data?.map(({ event }) => event.type).filter((type) => type !== 'api_key.denied');
    return { done: types?.toString() === wanted.toString(), types };
  });
  check('reads all of it in the audit log', events.done, events);
  return rotated.body.key;
}

function start() {
  const child = spawn(program, args, {
    cwd: checkout,
    env: { ...process.env, PORT: String(port), [MARK]: mark.slice(MARK.length + 1) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const ended = once(child, 'close').then(() => performance.now());
  return { child, ended, output: () => output, began: performance.now() };
}

/**
 * Waits until the service is ready.
 * @returns the seconds from its start until then
 */
async function ready(limit) {
  const { began, ended } = service;
  const { done, over } = await within(limit, async () => {
    const status = await fetch(`${url}/health/ready`).then(
      (response) => response.status,
      () => 0,
    );
    return { done: status === 200, over: await Promise.race([ended, sleep(50)]) };
  });
  if (!done) throw new Error(over ? 'ended before it was ready' : `not ready after ${limit} s`);
  return (performance.now() - began) / 1000;
}

/**
 * Stops the service.
 * @returns whether all of its processes are gone. A process that is left would respond in place of the next start.
 */
async function stop() {
  const { child, ended } = service;
  remember();
  const before = performance.now();
  child.kill('SIGTERM');
  // The timer must not keep this process running after the service has ended.
  const end = await Promise.race([ended, sleep(STOP_S * 1000, undefined, { ref: false })]);
  check(`SIGTERM ends it (${((performance.now() - before) / 1000).toFixed(1)} s)`, end !== undefined, service.output());
  // npm may end before the processes to which it passed the signal.
  const { left } = await within(10, async () => {
    const left = leftRunning();
    return { done: left.length === 0, left };
  });
  return check('nothing is left running', left.length === 0, left);
}

/** Processes that carry the mark, and processes that were seen below the service, whatever their environment is. */
function leftRunning() {
  return processes().filter(({ pid, began, marked }) => marked || seen.get(pid) === began);
}

function remember() {
  const all = processes();
  const below = new Set([service.child.pid]);
  for (let size = 0; size !== below.size;) {
    size = below.size;
    for (const { pid, parent } of all) if (below.has(parent)) below.add(pid);
  }
  for (const { pid, began } of all) if (below.has(pid)) seen.set(pid, began);
}

function processes() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      // The command's name is in parentheses and may contain any character.
      const [state, parent, ...rest] = contents(pid, 'stat')
        .replace(/^.*\) /s, '')
        .split(' ');
      const command = contents(pid, 'cmdline').replaceAll('\0', ' ');
      const marked = contents(pid, 'environ').split('\0').includes(mark);
      return { pid: Number(pid), state, parent: Number(parent), began: rest[17], command, marked };
    })
    .filter(({ state }) => state && state !== 'Z');
}

function contents(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    // The process has ended meanwhile.
    return '';
  }
}

async function call(method, path, { token, key, body } = {}) {
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(token && { Authorization: `Bearer ${token}` }),
      ...(key && { 'X-API-Key': key }),
      ...(body && { 'Content-Type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : undefined };
}

async function within(seconds, ask) {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const response = await ask();
    if (response.done || response.over || performance.now() > deadline) return response;
    await sleep(50);
  }
}

function check(what, ok, evidence) {
  console.log(`${ok ? 'ok' : 'not ok'}: ${what}`);
  if (!ok) {
    process.exitCode = 1;
    if (evidence !== undefined) console.log(evidence);
  }
  return ok;
}

/** A port below those of outgoing connections: it is still free when the service, once installed, listens. */
async function freePort() {
  for (;;) {
    const server = createServer();
    const wanted = randomInt(20_000, 32_768);
    try {
      await once(server.listen(wanted, '127.0.0.1'), 'listening');
      server.close();
      await once(server, 'close');
      return wanted;
    } catch (error) {
      if (error.code !== 'EADDRINUSE') throw error;
    }
  }
}
