import type pg from 'pg';
import { UnreadableRecord } from '#libs/outbox/batches.js';
import { Events } from '#libs/outbox/event.js';
import { Quarantine, quarantinedRecords, type QuarantinedRecord } from '#libs/outbox/quarantine.js';
import { DatabaseClock } from '#libs/platform/clock.js';
import { readConfigWithoutDatabase } from '#libs/platform/config.js';
import { PersonalData } from '#libs/platform/personal-data.js';
import type { CommandProcess } from './command-process.js';
import { withDatabaseOfCommand } from './database.js';
import { EXIT_REFUSED, EXIT_USAGE } from './exit-codes.js';
import { deploymentHere } from './here.js';

interface Options {
  readonly all?: true;
  readonly json?: true;
}

interface Outcome {
  readonly record: QuarantinedRecord;
  /** Null if it was only listed. */
  readonly isRequeued: boolean | null;
  readonly reason: string;
}

/** How many records one transaction reads. */
const TOGETHER = 100;

/**
 * Puts records of the quarantine back into the outbox; without numbers and `--all`, lists them.
 * @returns the exit code: 1 if this version cannot read a record, or a number is not in the quarantine
 */
export async function requeue(numbers: readonly string[], options: Options, host: CommandProcess): Promise<number> {
  if (!numbers.every((number) => /^[1-9]\d{0,14}$/.test(number)) || (options.all && numbers.length > 0)) {
    host.stderr.write('Give the numbers of records, as `keyledger audit requeue` lists them, or --all.\n');
    return EXIT_USAGE;
  }
  const config = readConfigWithoutDatabase(host.env);
  const clock = new DatabaseClock();
  const quarantine = new Quarantine(new Events(clock, new PersonalData(config), config));
  const ids = numbers.map(Number);
  const outcomes = await withDatabaseOfCommand(
    deploymentHere(host).settings.DATABASE_URL,
    'keyledger audit requeue',
    async (client) => {
      await clock.read(client);
      return ids.length === 0 && !options.all ? list(client) : requeueAll(client, quarantine, ids);
    },
  );
  const missing = ids.filter((id) => !outcomes.some(({ record }) => record.id === id));
  if (options.json) host.stdout.write(`${JSON.stringify({ records: outcomes.map(presented), missing })}\n`);
  else host.stdout.write(textOf(outcomes, missing));
  return missing.length > 0 || outcomes.some(({ isRequeued }) => isRequeued === false) ? EXIT_REFUSED : 0;
}

async function list(client: pg.Client): Promise<Outcome[]> {
  const records = await quarantinedRecords(client, null, TOGETHER, 0);
  return records.map((record) => ({ record, isRequeued: null, reason: record.reason }));
}

async function requeueAll(client: pg.Client, quarantine: Quarantine, ids: readonly number[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (let after = 0; ; after = outcomes.at(-1)!.record.id) {
    await client.query('BEGIN');
    const records = await quarantinedRecords(client, ids.length > 0 ? ids : null, TOGETHER, after);
    for (const record of records) outcomes.push(await requeueOne(client, quarantine, record));
    await client.query('COMMIT');
    if (records.length < TOGETHER) return outcomes;
  }
}

async function requeueOne(client: pg.Client, quarantine: Quarantine, record: QuarantinedRecord): Promise<Outcome> {
  try {
    await quarantine.requeue(client, record);
    return { record, isRequeued: true, reason: record.reason };
  } catch (error) {
    if (!(error instanceof UnreadableRecord)) throw error;
    return { record, isRequeued: false, reason: error.message };
  }
}

function presented({ record, isRequeued, reason }: Outcome) {
  const { id, events, createdAt } = record;
  return { number: id, events, quarantined_at: createdAt.toISOString(), requeued: isRequeued, reason };
}

function textOf(outcomes: readonly Outcome[], missing: readonly number[]): string {
  const lines = outcomes.map(({ record: { id, events, createdAt }, isRequeued, reason }) => {
    const what = `${id}  ${createdAt.toISOString()}  ${events ?? 'unknown'} events`;
    if (isRequeued === null) return `${what}  ${reason}`;
    return isRequeued ? `${what}  put back into the outbox` : `${what}  still cannot be read: ${reason}`;
  });
  if (outcomes.length === 0 && missing.length === 0) lines.push('The quarantine is empty.');
  for (const id of missing) lines.push(`${id}  is not in the quarantine`);
  return `${lines.join('\n')}\n`;
}
