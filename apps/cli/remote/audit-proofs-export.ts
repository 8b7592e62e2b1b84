import { leafHashOf } from '#libs/audit/log-growth.js';
import type { Client } from '#libs/client/client.js';
import { BUNDLE_ENTRIES } from '#libs/tlog/entries.js';
import { openCheckpoint } from '#libs/tlog/checkpoint.js';
import { parseVkey } from '#libs/tlog/note.js';
import { ProofError } from '#libs/tlog/proof-error.js';
import { WholeLog } from '#libs/tlog/whole-log.js';
import { EXIT_REFUSED } from '../exit-codes.js';
import { FORMAT, fromServer, HASHES, lineOf, rootLine } from './audit-sources.js';
import { Failure } from './failure.js';

/**
 * The whole audit log with its checkpoint and keys, as lines. It is verified on the way, so that a complete file is one
 * that verifies.
 */
export async function* exportWithProofs(api: Client, organizationId: string): AsyncGenerator<Buffer> {
  const source = await fromServer(api, organizationId);
  try {
    const { checkpoint, vkeys, minimum } = source;
    const log = new WholeLog([openCheckpoint(checkpoint, vkeys.map(parseVkey))], HASHES);
    const head = { format: FORMAT, organization_id: organizationId, checkpoint, vkeys };
    yield Buffer.from(`${JSON.stringify(minimum > 0 ? { ...head, pruned_below: minimum } : head)}\n`);
    for await (const bundle of source.pruned(log.size, [])) {
      if (!('root' in bundle)) continue;
      const index = log.next / BUNDLE_ENTRIES;
      log.addRoot(bundle.root);
      yield Buffer.from(rootLine(index, bundle.root));
    }
    for await (const { received } of source.entries(log.size, false)) {
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
