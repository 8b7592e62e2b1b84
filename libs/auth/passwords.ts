import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Argon2id } from '#libs/platform/argon2id.js';
import { invalidInput } from '#libs/platform/errors.js';
import { PasswordStrength } from './password-strength.js';
import { Gauges } from '#libs/platform/metrics.js';

/** zxcvbn's scale goes to 4; below 2 a password falls within some 10^6 guesses: the common ones and their variations. */
const WEAKEST_SCORE = 2;

@Injectable()
export class Passwords implements OnApplicationShutdown {
  readonly #argon2id: Argon2id;
  readonly #strength = new PasswordStrength();
  /** Verified when there is no account, so that the response takes as long as if there were one. */
  readonly #nobody: Promise<string>;

  constructor(gauges: Gauges) {
    this.#argon2id = new Argon2id('passwords', gauges);
    this.#nobody = this.hash('no account has this password');
  }

  hash(password: string): Promise<string> {
    return this.#argon2id.hash(password, 'new passwords');
  }

  async matches(hash: string | undefined, password: string): Promise<boolean> {
    // By account, and all addresses without one together.
    const stored = hash ?? (await this.#nobody);
    const same = await this.#argon2id.verify(stored, password, stored);
    return same && hash !== undefined;
  }

  /**
   * @param field where in the body it came
   * @throws DomainError for a password that is among the first to be tried, or `overloaded`
   */
  async refuseCommon(field: string, password: string, aboutTheUser: readonly string[]): Promise<void> {
    const score = await this.#strength.score(password, aboutTheUser);
    if (score >= WEAKEST_SCORE) return;
    throw invalidInput({
      location: `body.${field}`,
      message: 'is too easy to guess, being common or made by a pattern; several unrelated words are better',
    });
  }

  onApplicationShutdown(): Promise<void> {
    return this.#strength.close();
  }
}
