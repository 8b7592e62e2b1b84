import { boundedBytes } from '#libs/platform/bounded-bytes.js';
import { errorText } from '#libs/platform/error-text.js';
import { toBase64, wholeNumber } from '#libs/tlog/bytes.js';
import { openCosignatures, type Cosignature } from '#libs/tlog/cosignature.js';
import { ProofError } from '#libs/tlog/proof-error.js';
import type { Witness } from './witnesses.js';

/** A checkpoint to cosign, and the proofs that it continues earlier trees. */
export interface ToCosign {
  /** The signed note. */
  readonly note: string;
  readonly size: number;
  readonly proofFrom: (size: number) => Promise<readonly Uint8Array[]>;
  /** Ends the request. */
  readonly stop: AbortSignal;
}

/** The witness did not cosign. The message says what is wrong, after its name, and what to do. */
export class NotCosigned extends Error {
  override readonly name = 'NotCosigned';
}

/** A slow witness is asked again in the next round. */
const TIMEOUT_MS = 10_000;
/** A cosignature has some 200 bytes. */
const MOST_BYTES = 16_384;

/** A cosignature with a wrong time misleads those who ask how old a checkpoint is. */
const MOST_SECONDS_APART = 86_400;

const REASONS: Readonly<Record<number, string>> = {
  403: 'does not accept the signature: give it the present key of the log of heads',
  404: 'does not know the log of heads: enrol it there, or check the address in WITNESSES',
  422: 'has seen another log of heads, which this one does not continue: find out whether entries were changed or a copy of the deployment runs',
  429: 'gets too many requests: raise WITNESS_SECONDS',
};

/**
 * Asks a witness for its cosignature: `add-checkpoint` of C2SP `tlog-witness`.
 * @param known the size of the tree that it cosigned last, as far as we know
 * @throws NotCosigned
 */
export async function askWitness(witness: Witness, toCosign: ToCosign, known: number): Promise<Cosignature> {
  const first = await post(witness, toCosign, Math.min(known, toCosign.size));
  if (first.status !== 409) return cosignatureIn(first, witness, toCosign);
  const seen = seenSize(first);
  if (seen > toCosign.size) {
    throw new NotCosigned(
      `has cosigned ${seen} entries of the log of heads, which has ${toCosign.size}: a copy of the deployment runs, or an old one was restored`,
    );
  }
  return cosignatureIn(await post(witness, toCosign, seen), witness, toCosign);
}

interface Response {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

async function post({ url }: Witness, { note, proofFrom, stop }: ToCosign, old: number): Promise<Response> {
  const proof = await proofFrom(old);
  const lines = [`old ${old}`, ...proof.map(toBase64), '', note];
  try {
    const response = await fetch(`${url}/add-checkpoint`, {
      method: 'POST',
      body: lines.join('\n'),
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      redirect: 'error',
      signal: AbortSignal.any([stop, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    const type = response.headers.get('content-type') ?? '';
    return { status: response.status, type, body: await textOf(response) };
  } catch (error) {
    if (error instanceof NotCosigned) throw error;
    const { cause = error } = error as Error;
    throw new NotCosigned(`does not respond (${errorText(cause)})`);
  }
}

async function textOf(response: globalThis.Response): Promise<string> {
  const bytes = await boundedBytes(response, MOST_BYTES);
  if (!bytes) throw new NotCosigned(`responds with more than ${MOST_BYTES} bytes`);
  return bytes.toString();
}

function seenSize({ type, body }: Response): number {
  try {
    if (/^text\/x\.tlog\.size\s*(;|$)/i.test(type) && body.endsWith('\n'))
      return wholeNumber('The size', body.slice(0, -1));
  } catch (error) {
    if (!(error instanceof ProofError)) throw error;
  }
  throw new NotCosigned('responds with status 409 without the size of the log that it knows');
}

function cosignatureIn({ status, body }: Response, { key }: Witness, { note }: ToCosign): Cosignature {
  if (status !== 200) throw new NotCosigned(REASONS[status] ?? `responds with status ${status}`);
  try {
    const [cosignature] = openCosignatures(`${note}${body}`, [key]);
    if (cosignature && Math.abs(cosignature.time - Date.now() / 1000) > MOST_SECONDS_APART) {
      throw new NotCosigned('has a clock that differs from ours by more than a day: set the wrong one right');
    }
    if (cosignature) return cosignature;
  } catch (error) {
    if (!(error instanceof ProofError)) throw error;
    throw new NotCosigned(`responds with something else than a cosignature (${error.message})`);
  }
  throw new NotCosigned('responds with the cosignature of another key: correct its key in WITNESSES');
}
