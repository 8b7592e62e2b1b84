import { leafHashOf } from '#libs/audit/log-growth.js';
import type { Client } from '#libs/client/client.js';
import { openCheckpoint } from '#libs/tlog/checkpoint.js';
import { parseVkey } from '#libs/tlog/note.js';
import { ProofError } from '#libs/tlog/proof-error.js';
import { WholeLog } from '#libs/tlog/whole-log.js';
import { EXIT_REFUSED } from '../exit-codes.js';
import { FORMAT, fromServer, HASHES, lineOf } from './audit-sources.js';
import { Failure } from './failure.js';

/**
 * The whole audit log with its checkpoint and keys, as lines. It is verified on the way, so that a complete file is one
 * that verifies.
 */
export async function* exportWithProofs(api: Client, organizationId: string): AsyncGenerator<Buffer> {
  const source = await fromServer(api, organizationId);
  try {
    const { checkpoint, vkeys } = source;
    const log = new WholeLog([openCheckpoint(checkpoint, vkeys.map(parseVkey))], HASHES);
    yield Buffer.from(`${JSON.stringify({ format: FORMAT, organization_id: organizationId, checkpoint, vkeys })}\n`);
    for await (const received of source.entries(log.size, false)) {
      const first = log.next;
      for (const { entry } of received) log.add(entry);
      yield Buffer.concat(received.map(({ entry }, n) => lineOf(first + n, entry, leafHashOf(entry))));
    }
    log.end();
  } catch (error) {
    if (!(error instanceof ProofError)) throw error;
    throw new Failure(`The audit log of ${organizationId} is not as it was signed: ${error.message}.`, EXIT_REFUSED);
  }
}
