import { ProofError } from '#libs/tlog/proof-error.js';

/**
 * The body of a response. A server that does not say the truth may also send without an end.
 * @throws ProofError if it has more bytes than what was asked for can have
 */
export async function boundedBytes(what: string, response: Response, most: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > most) throw new ProofError(`The server sends more than ${what} can have`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
