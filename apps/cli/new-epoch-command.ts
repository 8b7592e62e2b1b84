import { anchorPath } from '#libs/audit/anchor.js';
import { beginEpoch } from '#libs/audit/new-epoch.js';
import { Events } from '#libs/outbox/event.js';
import { DatabaseClock } from '#libs/platform/clock.js';
import { PersonalData } from '#libs/platform/personal-data.js';
import type { CommandProcess } from './command-process.js';
import { withDatabaseOfCommand } from './database.js';
import { EXIT_REFUSED } from './exit-codes.js';
import { deploymentHere } from './here.js';
import { Failure } from './remote/failure.js';

interface Options {
  readonly yes?: true;
  readonly json?: true;
}

/** Begins a new epoch of checkpoints on this machine, which has the anchor. */
export async function newEpoch({ yes, json }: Options, host: CommandProcess): Promise<number> {
  const config = deploymentHere(host);
  const path = anchorPath(config);
  if (!yes) {
    throw new Failure(
      `This ends the present epoch: auditors have to accept the new one by hand. If the newest database and the anchor ${path} can be restored, restore them instead. To go on, add --yes.`,
      EXIT_REFUSED,
    );
  }
  const clock = new DatabaseClock();
  const events = new Events(clock, new PersonalData(config), config);
  const { number, logs, committed, earlierAnchor } = await withDatabaseOfCommand(
    config.settings.DATABASE_URL,
    'keyledger audit new-epoch',
    async (client) => {
      await clock.read(client);
      return beginEpoch(client, events, path);
    },
  );
  if (json) {
    host.stdout.write(`${JSON.stringify({ epoch: number, logs, committed, earlier_anchor: earlierAnchor })}\n`);
  } else {
    host.stdout.write(
      `Epoch ${number} begins. An entry in each of ${logs} audit logs says so. ${committed} of them name what was anchored last.\n` +
        (earlierAnchor ? `The earlier anchor is kept as ${earlierAnchor}.\n` : ''),
    );
  }
  return 0;
}
