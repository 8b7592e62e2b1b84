import { readFileSync } from 'node:fs';
import { parseWitnessVkey, type WitnessPolicy } from '#libs/tlog/cosignature.js';
import { parseVkey, type VerifierKey } from '#libs/tlog/note.js';
import { ProofError } from '#libs/tlog/proof-error.js';
import { verifyReceipt } from '#libs/tlog/receipt.js';
import { isWitnessed, verifyWitnessedReceipt } from '#libs/tlog/witnessed-receipt.js';
import type { CommandProcess } from '../command-process.js';
import { EXIT_INCOMPLETE, EXIT_REFUSED, EXIT_USAGE } from '../exit-codes.js';
import { Failure } from './failure.js';
import { givenKeys } from './given-keys.js';

export interface ReceiptOptions {
  readonly vkey?: readonly string[];
  readonly witness?: readonly string[];
  readonly quorum?: number;
  readonly json?: true;
}

interface Result {
  readonly result: 'verified' | 'tampered' | 'incomplete';
  readonly detail?: string;
  readonly origin?: string;
  readonly leaf_index?: number;
  readonly size?: number;
  readonly event?: unknown;
  readonly cosignatures?: readonly { readonly name: string; readonly time: string }[];
}

/** Verifies the receipt of an event, without a server. @returns the exit code */
export function verifyReceiptFile(file: string, options: ReceiptOptions, host: CommandProcess): number {
  const { vkey = [], witness = [], quorum = witness.length } = options;
  if (vkey.length === 0) throw new Failure('Give the key of the audit log with --vkey.', EXIT_USAGE);
  if (quorum > witness.length || options.quorum === 0) {
    throw new Failure('--quorum is at least 1, and at most the number of --witness.', EXIT_USAGE);
  }
  const keys = givenKeys('--vkey', vkey, parseVkey);
  const result = verified(file, keys, { witnesses: givenKeys('--witness', witness, parseWitnessVkey), quorum });
  host.stdout.write(options.json ? `${JSON.stringify(result)}\n` : textOf(result));
  return { verified: 0, tampered: EXIT_REFUSED, incomplete: EXIT_INCOMPLETE }[result.result];
}

function verified(file: string, keys: readonly VerifierKey[], policy: WitnessPolicy): Result {
  let text: string;
  let isLed: boolean;
  try {
    text = readFileSync(file, 'utf8');
    isLed = isWitnessed(text);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (!code && !(error instanceof ProofError)) throw error;
    return { result: 'incomplete', detail: code ? `${file} cannot be read (${code})` : `${file} is not a receipt` };
  }
  if (policy.witnesses.length > 0 && !isLed) {
    return { result: 'incomplete', detail: 'the receipt has no cosignatures: get one with witnessed=true' };
  }
  try {
    const witnessed = isLed ? verifyWitnessedReceipt(text, keys, policy) : null;
    const { entry, index, checkpoint } = witnessed ?? verifyReceipt(text, keys);
    return {
      result: 'verified',
      origin: checkpoint.origin,
      leaf_index: index,
      size: checkpoint.size,
      event: JSON.parse(Buffer.from(entry).toString()) as unknown,
      ...(witnessed && {
        cosignatures: witnessed.cosignatures.map(({ witness: { name }, time }) => ({
          name,
          time: new Date(time * 1000).toISOString(),
        })),
      }),
    };
  } catch (error) {
    if (!(error instanceof ProofError)) throw error;
    return { result: 'tampered', detail: error.message };
  }
}

function textOf({ result, detail, origin, leaf_index: index, size, event, cosignatures = [] }: Result): string {
  if (result === 'tampered') return `The receipt does NOT prove its event: ${detail}.\n`;
  if (result === 'incomplete') return `The receipt could not be checked: ${detail}.\n`;
  const lines = cosignatures.map(({ name, time }) => `Cosigned by ${name} at ${time}.\n`);
  return `The event ${index} was among the first ${size} of the audit log ${origin}:\n${JSON.stringify(event)}\n${lines.join('')}`;
}
