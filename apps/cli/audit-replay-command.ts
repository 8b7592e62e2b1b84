import type pg from 'pg';
import { isId } from '#libs/contract/ids.js';
import type { Difference } from '#libs/replay/compare.js';
import { replayLogs, type Replayed } from '#libs/replay/replay.js';
import type { CommandProcess } from './command-process.js';
import { withDatabaseOfCommand } from './database.js';
import { EXIT_INCOMPLETE, EXIT_REFUSED, EXIT_USAGE } from './exit-codes.js';
import { deploymentHere } from './here.js';
import { Failure } from './remote/failure.js';

interface Options {
  readonly check?: true;
  readonly organization?: string;
  readonly json?: true;
}

/** Rebuilds the state of the organizations from their audit logs, and compares it with the database. */
export async function replayAudit({ check, organization, json }: Options, host: CommandProcess): Promise<number> {
  if (!check) {
    host.stderr.write('audit replay needs --check: it compares, and changes nothing.\n');
    return EXIT_USAGE;
  }
  if (organization !== undefined && !isId('org', organization)) {
    host.stderr.write('--organization must be the id of an organization, such as org_01m8fvjkttewrrm100dbfq0000.\n');
    return EXIT_USAGE;
  }
  const all = await withDatabaseOfCommand(
    deploymentHere(host).settings.DATABASE_URL,
    'keyledger audit replay',
    (client) => replay(client, organization, host),
  );
  if (organization !== undefined && all.length === 0) {
    throw new Failure(`There is no organization ${organization}.`, EXIT_REFUSED);
  }
  const organizations = all.filter(({ organizationId }) => organizationId !== null).length;
  const events = all.reduce((sum, { events }) => sum + events, 0);
  const differences = all.flatMap(differencesOf);
  const gaps = all.flatMap(gapsOf);
  if (json) {
    host.stdout.write(`${JSON.stringify({ organizations, events, differences, gaps })}\n`);
  } else {
    for (const difference of differences) host.stdout.write(`${lineOf(difference)}\n`);
    for (const gap of gaps) host.stdout.write(`${gapLine(gap)}\n`);
    host.stdout.write(summaryOf(organizations, events, differences.length, gaps.length));
  }
  if (differences.length > 0) return EXIT_REFUSED;
  return gaps.length > 0 ? EXIT_INCOMPLETE : 0;
}

async function replay(client: pg.Client, organization: string | undefined, host: CommandProcess): Promise<Replayed[]> {
  const all: Replayed[] = [];
  let events = 0;
  for await (const replayed of replayLogs(client, organization)) {
    all.push(replayed);
    events += replayed.events;
    if (host.stderr.isTTY) host.stderr.write(`\r${all.length} organizations, ${events} events `);
  }
  if (host.stderr.isTTY) host.stderr.write('\r\u001B[K');
  return all;
}

/** As in the output of `--json`. */
type PlacedDifference = Difference & { readonly organization_id: string | null };
interface Gap {
  readonly organization_id: string | null;
  /** Null if the whole log could not be replayed. */
  readonly kind: string | null;
  readonly field: string | null;
  readonly objects: number | null;
  readonly reason: string;
}

function differencesOf({ organizationId, differences }: Replayed): PlacedDifference[] {
  return differences.map(({ kind, id, field, log, database }) => ({
    organization_id: organizationId,
    kind,
    id,
    field,
    log,
    database,
  }));
}

function gapsOf({ organizationId: id, gap, leftOut }: Replayed): Gap[] {
  const whole = gap === null ? [] : [{ organization_id: id, kind: null, field: null, objects: null, reason: gap }];
  const reason = 'the audit log does not say it, because RECORD_ACTOR was id or the event is of an earlier version';
  return [...whole, ...leftOut.map((one) => ({ organization_id: id, ...one, reason }))];
}

function lineOf({ organization_id: organization, kind, id, field, log, database }: PlacedDifference): string {
  const where = organization === null ? '' : `${organization}: `;
  if (field !== null) {
    return `${where}${kind} ${id}: ${field} is ${JSON.stringify(database)}, and ${JSON.stringify(log)} by the audit log.`;
  }
  return database === null
    ? `${where}${kind} ${id} is missing in the database.`
    : `${where}${kind} ${id} is in the database, and not in the audit log.`;
}

function gapLine({ organization_id: organization, kind, field, objects, reason }: Gap): string {
  const where = organization === null ? '' : `${organization}: `;
  if (kind === null) return `${where}not compared: ${reason}.`;
  return `${where}not compared: ${field} of ${objects} ${kind}, because ${reason}.`;
}

function summaryOf(organizations: number, events: number, different: number, gaps: number): string {
  const read = `Replayed ${events} events of ${organizations} ${organizations === 1 ? 'organization' : 'organizations'}`;
  if (different > 0) return `${read}. Found ${different} ${different === 1 ? 'difference' : 'differences'}.\n`;
  if (gaps > 0) return `${read}. Found no difference, but not everything could be compared.\n`;
  return `${read}. The database is as the audit logs say.\n`;
}
