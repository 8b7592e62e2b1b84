import { Injectable } from '@nestjs/common';
import { Config, ConfigError } from '#libs/platform/config.js';
import { errorText } from '#libs/platform/error-text.js';
import { parseWitnessVkey, type WitnessPolicy } from '#libs/tlog/cosignature.js';
import { toBase64 } from '#libs/tlog/bytes.js';
import type { VerifierKey } from '#libs/tlog/note.js';

export interface Witness {
  readonly key: VerifierKey;
  readonly vkey: string;
  /** The submission prefix of C2SP `tlog-witness`, without a slash at its end. */
  readonly url: string;
}

/** The witnesses of the settings, and how many of them must cosign: by default more than half. */
@Injectable()
export class Witnesses {
  readonly all: readonly Witness[];
  readonly policy: WitnessPolicy;
  readonly intervalMs: number;

  /** @throws ConfigError */
  constructor({ settings: { WITNESSES, WITNESS_QUORUM, WITNESS_SECONDS } }: Config) {
    this.all = WITNESSES.map(({ vkey, url }) => ({ key: keyOf(vkey), vkey, url: url.replace(/\/$/, '') }));
    const witnesses = this.all.map(({ key }) => key);
    if (new Set(witnesses.map(({ publicKey }) => toBase64(publicKey))).size < witnesses.length) {
      throw new ConfigError('WITNESSES has a witness twice: each counts once.');
    }
    const quorum = WITNESS_QUORUM ?? Math.floor(witnesses.length / 2) + 1;
    if (WITNESS_QUORUM !== undefined && quorum > witnesses.length) {
      throw new ConfigError(
        `WITNESS_QUORUM is ${quorum}, but WITNESSES has ${witnesses.length}: lower it, or add witnesses.`,
      );
    }
    this.policy = { witnesses, quorum };
    this.intervalMs = WITNESS_SECONDS * 1000;
  }
}

function keyOf(vkey: string): VerifierKey {
  try {
    return parseWitnessVkey(vkey);
  } catch (error) {
    throw new ConfigError(`WITNESSES has a key that cannot be used: ${vkey}: ${errorText(error)}.`);
  }
}
