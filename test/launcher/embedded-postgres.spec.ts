import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../apps/cli/embedded-postgres.js';
import { scratchDirectory } from '../support/scratch-directory.js';
import { leftOf, remove } from './started.js';

let directory: string;
let server: EmbeddedPostgres | undefined;

beforeAll(async () => {
  directory = await scratchDirectory('launcher-');
});

afterAll(async () => {
  await server?.stop();
  await remove(directory);
});

async function ask(sql: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: server!.adminUrl });
  await client.connect();
  const { rows } = await client.query(sql);
  await client.end();
  return Object.values(rows[0] as object)[0];
}

test('keeps what was committed safe, and listens on the loopback with a password only', async () => {
  server = await startEmbeddedPostgres({ dataDirectory: directory, settings: { max_connections: '33' } });
  expect(await ask('SHOW fsync')).toBe('on');
  expect(await ask('SHOW full_page_writes')).toBe('on');
  expect(await ask('SHOW data_checksums')).toBe('on');
  expect(await ask('SHOW server_encoding')).toBe('UTF8');
  expect(await ask('SELECT datlocale FROM pg_database WHERE datname = current_database()')).toBe('C.UTF-8');
  expect(await ask('SHOW listen_addresses')).toBe('127.0.0.1');
  expect(await ask('SHOW unix_socket_directories')).toBe('');
  expect(await ask('SHOW max_connections')).toBe('33');
  const hba = await readFile(join(server.dataDirectory, 'pg_hba.conf'), 'utf8');
  const methods = hba
    .split('\n')
    .filter((line) => /^\w/.test(line))
    .map((line) => line.trim().split(/\s+/).at(-1));
  expect(new Set(methods)).toEqual(new Set(['scram-sha-256']));
});

test('rejects data that another server of this machine uses, and names its process', async () => {
  await expect(startEmbeddedPostgres({ dataDirectory: directory })).rejects.toThrow(`process ${process.pid}`);
});

test('ends in order', async () => {
  await server!.stop();
  const log = await readFile(join(directory, 'postgres.log'), 'utf8');
  expect(log).toContain('database system is shut down');
  expect((await leftOf(directory)).filter(({ command }) => /postgres|sh -c/.test(command))).toEqual([]);
});

test('does not touch a process that only has the number of a former server', async () => {
  const other = spawn('sleep', ['60'], { stdio: 'ignore' });
  await once(other, 'spawn');
  await writeFile(join(server!.dataDirectory, 'postmaster.pid'), `${other.pid}\n${server!.dataDirectory}\n`);
  server = await startEmbeddedPostgres({ dataDirectory: directory });
  expect(await ask('SELECT 1')).toBe(1);
  expect([other.exitCode, other.signalCode]).toEqual([null, null]);
  other.kill();
});

test('does not touch a process that only claims to be the server of this folder', async () => {
  await server!.stop();
  const args = ['-e', 'setInterval(() => {}, 1000)', '--', '-D', server!.dataDirectory];
  const impostor = spawn(process.execPath, args, { argv0: 'postgres', stdio: 'ignore' });
  await once(impostor, 'spawn');
  await writeFile(join(server!.dataDirectory, 'postmaster.pid'), `${impostor.pid}\n${server!.dataDirectory}\n`);
  server = await startEmbeddedPostgres({ dataDirectory: directory });
  expect([impostor.exitCode, impostor.signalCode]).toEqual([null, null]);
  impostor.kill();
});

test('says which file is missing when the password is not that of the data', async () => {
  await server!.stop();
  await rm(join(directory, 'postgres-password'));
  await expect(startEmbeddedPostgres({ dataDirectory: directory })).rejects.toThrow(
    join(directory, 'postgres-password'),
  );
  // The shell that watches the server ends by itself, a moment after the server.
  expect((await leftOf(directory)).filter(({ command }) => command.includes('postgres'))).toEqual([]);
});
