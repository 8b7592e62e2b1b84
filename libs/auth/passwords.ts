import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Argon2id } from '#libs/platform/argon2id.js';
import { invalidInput } from '#libs/platform/errors.js';
import { PasswordStrength } from './password-strength.js';
import { Gauges } from '#libs/platform/metrics.js';

/**
 * zxcvbn's scores go to 4. A password with a score below 2 takes some 10^6 guesses at most: common passwords and
 * variations.
 */
const WEAKEST_SCORE = 2;

@Injectable()
export class Passwords implements OnApplicationShutdown {
  readonly #argon2id: Argon2id;
  readonly #strength = new PasswordStrength();
  /** Verified if the account does not exist, so that the response takes equally long. */
  readonly #nobody: Promise<string>;

  constructor(gauges: Gauges) {
    this.#argon2id = new Argon2id('passwords', gauges);
    this.#nobody = this.hash('no account has this password');
  }

  hash(password: string): Promise<string> {
    return this.#argon2id.hash(password, 'new passwords');
  }

  async matches(hash: string | undefined, password: string): Promise<boolean> {
    // The flow is the account. All addresses without an account share one flow.
    const stored = hash ?? (await this.#nobody);
    const same = await this.#argon2id.verify(stored, password, stored);
    return same && hash !== undefined;
  }

  /**
   * @param field the field of the body, for the error
   * @throws DomainError for a password that is among the first guesses, or `overloaded`
   */
  async refuseCommon(field: string, password: string, aboutTheUser: readonly string[]): Promise<void> {
    const score = await this.#strength.score(password, aboutTheUser);
    if (score >= WEAKEST_SCORE) return;
    throw invalidInput({
      location: `body.${field}`,
      message: 'is too easy to guess: it is common or follows a pattern; use several unrelated words',
    });
  }

  onApplicationShutdown(): Promise<void> {
    return this.#strength.close();
  }
}
