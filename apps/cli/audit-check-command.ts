import pg from 'pg';
import { checkAuditLogs, type CheckedLog } from '#libs/audit/audit-check.js';
import { isId } from '#libs/contract/ids.js';
import { isDatabaseAway, sessionOptions } from '#libs/database/database.js';
import { errorText } from '#libs/platform/error-text.js';
import type { CommandProcess } from './command-process.js';
import { EXIT_REFUSED, EXIT_UNAVAILABLE, EXIT_USAGE } from './exit-codes.js';
import { deploymentHere } from './here.js';
import { Failure } from './remote/failure.js';

interface Options {
  readonly organization?: string;
  readonly json?: true;
}

/** Checks the audit logs in the database: everything that is stored about them must follow from their entries. */
export async function checkAudit({ organization, json }: Options, host: CommandProcess): Promise<number> {
  if (organization !== undefined && !isId('org', organization)) {
    host.stderr.write('--organization must be the id of an organization, such as org_01m8fvjkttewrrm100dbfq0000.\n');
    return EXIT_USAGE;
  }
  const client = new pg.Client({
    connectionString: deploymentHere(host).databaseUrl,
    application_name: 'keyledger audit check',
    options: sessionOptions('keyledger_api'),
  });
  try {
    await client.connect();
    const { logs, entries, differences } = await check(client, organization, host);
    if (organization !== undefined && logs === 0)
      throw new Failure(`There is no audit log of ${organization}.`, EXIT_REFUSED);
    if (json) {
      host.stdout.write(`${JSON.stringify({ logs, entries, differences })}\n`);
    } else {
      for (const { organization_id: id, difference } of differences) {
        host.stdout.write(`The audit log of ${id} is not as its entries say: ${difference}.\n`);
      }
      host.stdout.write(summaryOf(logs, entries, differences.length));
    }
    return differences.length === 0 ? 0 : EXIT_REFUSED;
  } catch (error) {
    if (!isDatabaseAway(error)) throw error;
    throw new Failure(`The database is unavailable (${errorText(error)}): check DATABASE_URL.`, EXIT_UNAVAILABLE);
  } finally {
    await client.end();
  }
}

async function check(client: pg.Client, organization: string | undefined, host: CommandProcess) {
  const differences: { organization_id: string; difference: string }[] = [];
  let logs = 0;
  let entries = 0;
  const report = (log: CheckedLog) => {
    logs += 1;
    entries += log.size;
    if (log.difference) differences.push({ organization_id: log.organizationId, difference: log.difference });
    if (host.stderr.isTTY) host.stderr.write(`\r${logs} audit logs, ${entries} entries `);
  };
  for await (const log of checkAuditLogs(client, organization)) report(log);
  if (host.stderr.isTTY) host.stderr.write('\r\u001B[K');
  return { logs, entries, differences };
}

function summaryOf(logs: number, entries: number, different: number): string {
  const checked = `Checked ${logs} audit ${logs === 1 ? 'log' : 'logs'} with ${entries} entries`;
  if (different === 0) return `${checked}. Everything that is stored about them follows from their entries.\n`;
  return `${checked}. ${different} ${different === 1 ? 'differs' : 'differ'}.\n`;
}
