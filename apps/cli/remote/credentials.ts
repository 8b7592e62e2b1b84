import { chmodSync, closeSync, fstatSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { EXIT_CONFIG } from '#libs/platform/config.js';
import { LockHeld, takeLock } from '../processes.js';
import { Failure } from './failure.js';
import { replaceFile } from './replace-file.js';

const Session = z.strictObject({
  url: z.string(),
  refresh_token: z.string(),
  access_token: z.string(),
  /** According to this machine's clock. */
  access_token_ends_at: z.iso.datetime(),
  /** The default organization, as `keyledger use` set it. */
  organization: z.string().optional(),
});
export type Session = z.infer<typeof Session>;

const Credentials = z.union([Session, z.strictObject({ url: z.string(), api_key: z.string() })]);
export type Credentials = z.infer<typeof Credentials>;

const LOCK_POLL_MS = 25;
/** Longer than the holder of the lock waits for the server. */
const LOCK_DEADLINE_MS = 45_000;

/** The one credential that is stored on this machine, in a file that only its owner can read. */
export class CredentialStore {
  readonly file: string;

  constructor(env: NodeJS.ProcessEnv) {
    this.file = join(configHome(env), 'keyledger', 'credentials.json');
  }

  /** @throws Failure if other users can read the file, or its content is invalid */
  read(): Credentials | undefined {
    const text = this.#readPrivately();
    if (text === undefined) return undefined;
    const parsed = Credentials.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    throw new Failure(`${this.file} has an unknown format: remove it and sign in again.`, EXIT_CONFIG);
  }

  /** Atomic: at any moment the file is complete or absent. */
  write(credentials: Credentials): void {
    try {
      replaceFile(this.file, `${JSON.stringify(credentials, null, 2)}\n`);
    } catch (error) {
      throw this.#unusable(error);
    }
  }

  remove(): void {
    rmSync(this.file, { force: true });
  }

  /**
   * Lets one command at a time read the file, call the server and write. A refresh token works only once: if two
   * commands used the same one, the slower would store an invalid token, or overwrite another sign-in.
   */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    const lock = await this.#lock();
    try {
      return await work();
    } finally {
      lock.release();
    }
  }

  async #lock(): Promise<{ release(): void }> {
    const folder = dirname(this.file);
    for (const deadline = Date.now() + LOCK_DEADLINE_MS; ; await sleep(LOCK_POLL_MS)) {
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        // The user may have created it with another mode.
        chmodSync(folder, 0o700);
        return takeLock(`${this.file}.lock`);
      } catch (error) {
        if (!(error instanceof LockHeld)) throw this.#unusable(error);
        if (Date.now() < deadline) continue;
        throw new Failure(
          `Another keyledger command (process ${error.pid}) does not release ${this.file}: end it first.`,
          EXIT_CONFIG,
        );
      }
    }
  }

  /** Checks the mode of the open file, because the file behind the name may change meanwhile. */
  #readPrivately(): string | undefined {
    let file: number;
    try {
      file = openSync(this.file, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw this.#unusable(error);
    }
    try {
      // Windows has no modes; the user's folder keeps other users out.
      if (process.platform !== 'win32' && (fstatSync(file).mode & 0o077) !== 0) throw this.#openToOthers();
      return readFileSync(file, 'utf8');
    } finally {
      closeSync(file);
    }
  }

  #openToOthers(): Failure {
    return new Failure(
      `${this.file} can be read by others: run \`chmod 600 ${this.file}\`, and \`keyledger logout\` if it may have been read.`,
      EXIT_CONFIG,
    );
  }

  #unusable(error: unknown): Failure {
    return new Failure(
      `${this.file} cannot be used (${(error as Error).message}): set XDG_CONFIG_HOME to a folder of yours.`,
      EXIT_CONFIG,
    );
  }
}

/** The XDG base directory specification: a relative path counts as unset. */
function configHome(env: NodeJS.ProcessEnv): string {
  const home = env['XDG_CONFIG_HOME'] ?? '';
  return isAbsolute(home) ? home : join(homedir(), '.config');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
