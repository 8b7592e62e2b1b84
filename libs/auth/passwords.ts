import { Injectable } from '@nestjs/common';
import { ZxcvbnFactory } from '@zxcvbn-ts/core';
import * as common from '@zxcvbn-ts/language-common';
import argon2 from 'argon2';
import { invalidInput } from '#libs/platform/errors.js';

/** OWASP's recommendation for Argon2id: 19 MiB, two passes, one lane. */
export const ARGON2ID = { type: argon2.argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

/** zxcvbn's scale goes to 4; below 2 a password falls within some 10^6 guesses: the common ones and their variations. */
const WEAKEST_SCORE = 2;

@Injectable()
export class Passwords {
  readonly #strength = new ZxcvbnFactory({ dictionary: { ...common.dictionary }, graphs: common.adjacencyGraphs });
  /** Verified when there is no account, so that the answer takes as long as if there were one. */
  readonly #nobody = this.hash('no account has this password');

  hash(password: string): Promise<string> {
    return argon2.hash(password, ARGON2ID);
  }

  async matches(hash: string | undefined, password: string): Promise<boolean> {
    const same = await argon2.verify(hash ?? (await this.#nobody), password);
    return same && hash !== undefined;
  }

  /** @throws DomainError for a password that is among the first to be tried. */
  refuseCommon(password: string, aboutTheUser: readonly string[]): void {
    const { score, feedback } = this.#strength.check(password, [...aboutTheUser]);
    if (score >= WEAKEST_SCORE) return;
    throw invalidInput({
      location: 'body.password',
      message: `is too easy to guess: ${feedback.warning ?? 'it is common or follows a pattern'}; several unrelated words are better`,
    });
  }
}
