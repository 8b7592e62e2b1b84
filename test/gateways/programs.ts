import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../support/eventually.js';
import { freePort } from '../../apps/cli/free-port.js';

const STARTS_WITHIN_MS = 10_000;

/** A gateway that docs/gateways.md has a configuration for. */
interface Program {
  readonly command: string;
  readonly version: string;
  /** The language of the block in the document. */
  readonly language: string;
  /** The line that says where the gateway listens: in the document, and in the test. */
  readonly listens: (port: number) => readonly [documented: string, here: string];
  /** Adds the settings that depend on the machine, which the document leaves out. */
  readonly whole: (snippet: string, directory: string) => string;
  readonly args: (file: string, directory: string) => readonly string[];
}

export const programs = {
  nginx: {
    command: 'nginx',
    version: '-v',
    language: 'nginx',
    listens: (port) => ['listen 80;', `listen 127.0.0.1:${port};`],
    whole: (snippet, directory) => `
      daemon off;
      worker_processes 1;
      pid ${directory}/pid;
      events {}
      http {
        access_log off;
        ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((of) => `${of}_temp_path ${directory}/${of};`).join('\n')}
        ${snippet}
      }`,
    args: (file, directory) => ['-p', directory, '-e', 'stderr', '-c', file],
  },
  Caddy: {
    command: 'caddy',
    version: 'version',
    language: 'caddyfile',
    listens: (port) => ['api.example.com {', `http://127.0.0.1:${port} {`],
    whole: (snippet) => `{\n\tadmin off\n}\n${snippet}`,
    args: (file) => ['run', '--adapter', 'caddyfile', '--config', file],
  },
} satisfies Record<string, Program>;
export type ProgramName = keyof typeof programs;

export function isInstalled({ command, version }: Program): boolean {
  return spawnSync(command, [version]).status === 0;
}

export const gatewaysDocument = readFileSync(new URL('../../docs/gateways.md', import.meta.url), 'utf8');

/** The block of the document in this language. */
export function snippetOf(language: string): string {
  const [, snippet] = new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'ms').exec(gatewaysDocument) ?? [];
  if (!snippet) throw new Error(`docs/gateways.md has no block in ${language}`);
  return snippet;
}

export interface Gateway {
  readonly port: number;
  stop(): Promise<void>;
}

export interface Surroundings {
  readonly keyledgerUrl: string;
  readonly upstreamPort: number;
  /** Replaces the requirements for the key in the document. */
  readonly asks?: string;
  /** An edit that a reader makes to the snippet. */
  readonly edit?: (snippet: string) => string;
}

/**
 * Starts the program in the foreground with the configuration of the document. Only addresses and requirements differ.
 */
export async function startGateway(
  name: ProgramName,
  { keyledgerUrl, upstreamPort, asks, edit = (snippet) => snippet }: Surroundings,
): Promise<Gateway> {
  const program: Program = programs[name];
  const port = await freePort();
  const snippet = fillIn(edit(snippetOf(program.language)), [
    program.listens(port),
    ['127.0.0.1:3000', new URL(keyledgerUrl).host],
    ['127.0.0.1:8080', `127.0.0.1:${upstreamPort}`],
    ['scope=triggers:read&cost=1', asks ?? 'scope=triggers:read&cost=1'],
  ]);
  return runGateway(name, port, snippet);
}

/** Starts the program with this configuration, which makes it listen at this port. */
export async function runGateway(name: ProgramName, port: number, snippet: string): Promise<Gateway> {
  const program: Program = programs[name];
  const directory = await mkdtemp(join(tmpdir(), 'keyledger-gateway-'));
  // If root starts nginx, its workers run as another user, who has to pass through this folder.
  await chmod(directory, 0o711);
  const file = join(directory, 'configuration');
  await writeFile(file, program.whole(snippet, directory));

  const child = spawn(program.command, program.args(file, directory), {
    env: { PATH: process.env['PATH'], HOME: directory, XDG_DATA_HOME: directory, XDG_CONFIG_HOME: directory },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = once(child, 'exit');
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-4_000)));
  const listens = () => Promise.race([isListening(port), exited.then(() => true)]);
  const stop = async () => {
    child.kill();
    await exited;
    await rm(directory, { recursive: true });
  };
  await eventually(listens, Boolean, STARTS_WITHIN_MS);
  if (child.exitCode !== null || !(await isListening(port))) {
    await stop();
    throw new Error(`${name} does not start: ${output}`);
  }
  return { port, stop };
}

function fillIn(snippet: string, places: readonly (readonly [documented: string, here: string])[]): string {
  return places.reduce((text, [documented, here]) => {
    if (!text.includes(documented)) throw new Error(`The snippet has no ${documented}`);
    return text.replaceAll(documented, () => here);
  }, snippet);
}

export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
      .on('connect', () => {
        socket.destroy();
        resolve(true);
      })
      .on('error', () => resolve(false));
  });
}
