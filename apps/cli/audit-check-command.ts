import type pg from 'pg';
import { checkAuditLogs } from '#libs/audit/audit-check.js';
import { isId } from '#libs/contract/ids.js';
import { UsageCheck } from '#libs/usage/usage-check.js';
import type { CommandProcess } from './command-process.js';
import { withDatabaseOfCommand } from './database.js';
import { EXIT_REFUSED, EXIT_USAGE } from './exit-codes.js';
import { deploymentHere } from './here.js';
import { Failure } from './remote/failure.js';

interface Options {
  readonly organization?: string;
  readonly json?: true;
}

/** Checks the audit logs and the counts of usage in the database: all of it must follow from the entries. */
export async function checkAudit({ organization, json }: Options, host: CommandProcess): Promise<number> {
  if (organization !== undefined && !isId('org', organization)) {
    host.stderr.write('--organization must be the id of an organization, such as org_01m8fvjkttewrrm100dbfq0000.\n');
    return EXIT_USAGE;
  }
  const { logs, entries, pruned, differences } = await withDatabaseOfCommand(
    deploymentHere(host).settings.DATABASE_URL,
    'keyledger audit check',
    (client) => check(client, organization, host),
  );
  if (organization !== undefined && logs === 0) {
    throw new Failure(`There is no audit log of ${organization}.`, EXIT_REFUSED);
  }
  if (json) {
    host.stdout.write(`${JSON.stringify({ logs, entries, pruned, differences })}\n`);
  } else {
    for (const { organization_id: id, difference } of differences) {
      host.stdout.write(
        id === null
          ? `Something is not as the entries of all audit logs say: ${difference}.\n`
          : `The audit log of ${id} is not as its entries say: ${difference}.\n`,
      );
    }
    host.stdout.write(summaryOf(logs, entries, differences.length));
    if (pruned > 0) host.stdout.write(prunedText(pruned));
  }
  return differences.length === 0 ? 0 : EXIT_REFUSED;
}

async function check(client: pg.Client, organization: string | undefined, host: CommandProcess) {
  const differences: { organization_id: string | null; difference: string }[] = [];
  let logs = 0;
  let entries = 0;
  let pruned = 0;
  for await (const { organizationId, size, minimum, difference } of checkAuditLogs(
    client,
    organization,
    new UsageCheck(),
  )) {
    if (organizationId !== null) logs += 1;
    entries += size - minimum;
    if (minimum > 0) pruned += 1;
    if (difference) differences.push({ organization_id: organizationId, difference });
    if (host.stderr.isTTY) host.stderr.write(`\r${logs} audit logs, ${entries} entries `);
  }
  if (host.stderr.isTTY) host.stderr.write('\r\u001B[K');
  return { logs, entries, pruned, differences };
}

function prunedText(pruned: number): string {
  return (
    `${pruned} ${pruned === 1 ? 'was' : 'were'} pruned: the hashes of what was pruned were taken as they are, and counts of ` +
    'usage that follow from pruned entries were not checked.\n'
  );
}

function summaryOf(logs: number, entries: number, different: number): string {
  const checked = `Checked ${logs} audit ${logs === 1 ? 'log' : 'logs'} with ${entries} entries`;
  if (different === 0) return `${checked}. Everything that is stored about them follows from their entries.\n`;
  return `${checked}. ${different} ${different === 1 ? 'differs' : 'differ'}.\n`;
}
