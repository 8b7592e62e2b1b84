import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { CommandProcess } from '../../apps/cli/command-process.js';
import { builtModule } from '../support/built-module.js';
import type { Account } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { leftOut } from '../support/left-out.js';

const { runCommand } = await builtModule<typeof import('../../apps/cli/run-command.js')>(
  '../../apps/cli/run-command.js',
);

export const MAIN = fileURLToPath(new URL('../../dist/apps/cli/main.js', import.meta.url));

const PROMPT_WITHIN_MS = 10_000;

export interface Outcome {
  readonly code: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Given {
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Without it, the output is a pipe. */
  readonly terminal?: { readonly columns: number };
}

/** A user at a command line, with their own home folder, where `keyledger` keeps its sign-in. */
export class Shell {
  private constructor(readonly home: string) {}

  static async open(): Promise<Shell> {
    return new Shell(await mkdtemp(join(tmpdir(), 'keyledger-cli-')));
  }

  close(): Promise<void> {
    return rm(this.home, { recursive: true, force: true });
  }

  get credentials(): string {
    return join(this.home, 'keyledger', 'credentials.json');
  }

  env(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    // Node shows no colours if `CI` is set. A user's terminal has none of these variables.
    const unwanted = /^(KEYLEDGER_|NO_COLOR$|FORCE_COLOR$|CI$|NODE_OPTIONS$|JEST_)/;
    const rest = Object.entries(process.env).filter(([name]) => !unwanted.test(name));
    return { ...Object.fromEntries(rest), TERM: 'xterm-256color', TZ: 'UTC', XDG_CONFIG_HOME: this.home, ...more };
  }

  /**
   * Runs the command in the process of the test, through pipes or on a terminal without colours: a separate process takes
   * half a second of a core.
   */
  async run(args: string[], { input = '', env = {}, terminal }: Given = {}): Promise<Outcome> {
    const stdout = Object.assign(new PassThrough(), terminal && { ...terminal, isTTY: true, hasColors: () => false });
    const stderr = new PassThrough();
    const said = Promise.all([text(stdout), text(stderr)]);
    const own = Object.assign(new EventEmitter(), {
      env: this.env(env),
      stdin: Readable.from([input]),
      stdout,
      stderr,
    });
    const code = await runCommand(args, own as unknown as CommandProcess).finally(() => [stdout.end(), stderr.end()]);
    const [out, err] = await said;
    return { code, stdout: out, stderr: err };
  }

  /** Runs the command through pipes in a separate process. */
  runProcess(args: string[], { input = '', env = {} }: Given = {}): Promise<Outcome> {
    const child = this.start(args, env);
    child.stdin!.on('error', () => undefined).end(input);
    return outcomeOf(child);
  }

  start(args: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    return spawn(process.execPath, [MAIN, ...args], { env: this.env(env) });
  }

  async signIn(url: string, { email, password }: Account): Promise<void> {
    const { code, stderr } = await this.run(['login', '--url', url, '--email', email], { input: `${password}\n` });
    if (code !== 0) throw new Error(stderr);
  }

  /** Runs the command on a terminal with this many columns. */
  onTerminal(args: string[], { columns = 80, env = {} }: { columns?: number; env?: NodeJS.ProcessEnv } = {}): Terminal {
    const command = [process.execPath, MAIN, ...args].map((word) => `'${word}'`).join(' ');
    const sized = `stty cols ${columns} rows 24; exec ${command}`;
    return new Terminal(spawn('script', ['-qec', sized, '/dev/null'], { env: this.env({ SHELL: '/bin/sh', ...env }) }));
  }
}

export function outcomeOf(child: ChildProcess): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve) =>
    child.once('close', (code, signal) => resolve({ code: code ?? signal, stdout, stderr })),
  );
}

/** A terminal: what the user sees on it, and what the user types. */
export class Terminal {
  output = '';
  readonly ended: Promise<number | NodeJS.Signals | null>;

  constructor(private readonly script: ChildProcess) {
    script.stdout!.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    this.ended = new Promise((resolve) => script.once('close', (code, signal) => resolve(code ?? signal)));
  }

  get lines(): string[] {
    return this.output.split('\r\n');
  }

  async shows(text: string): Promise<void> {
    const seen = await eventually(async () => this.output.includes(text), Boolean, PROMPT_WITHIN_MS);
    if (!seen) throw new Error(`The terminal does not show ${text} but:\n${this.output}`);
  }

  type(text: string): void {
    this.script.stdin!.write(text);
  }
}

/** Without the `script` command there are no terminals, and the tests that need one are skipped. */
export function hasTerminals(): boolean {
  const found = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') ?? false;
  if (!found) leftOut('the command line on a terminal', 'install util-linux, which has `script`');
  return found;
}
