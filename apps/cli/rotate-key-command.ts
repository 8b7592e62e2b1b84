import { rotateKey } from '#libs/audit/rotate-key.js';
import { Events } from '#libs/outbox/event.js';
import { DatabaseClock } from '#libs/platform/clock.js';
import { DomainError } from '#libs/platform/errors.js';
import { PersonalData } from '#libs/platform/personal-data.js';
import { Sealing } from '#libs/platform/sealing.js';
import type { CommandProcess } from './command-process.js';
import { withDatabaseOfCommand } from './database.js';
import { EXIT_REFUSED } from './exit-codes.js';
import { configHere } from './here.js';
import { Failure } from './remote/failure.js';
import { localTime } from './remote/text.js';

interface Options {
  readonly compromised?: true;
  readonly yes?: true;
  readonly json?: true;
}

/** Both keys sign for so long, so that auditors with the earlier one have time to get the new one. */
const OVERLAP_DAYS = 30;

/** Replaces the key that signs the checkpoints of all audit logs. */
export async function rotateSigningKey({ compromised, yes, json }: Options, host: CommandProcess): Promise<number> {
  const config = configHere(host);
  if (compromised && !yes) {
    throw new Failure(
      'The present key stops signing at once, and its signatures count no more: each auditor needs the new key from you. To go on, add --yes.',
      EXIT_REFUSED,
    );
  }
  const clock = new DatabaseClock();
  const events = new Events(clock, new PersonalData(config), config);
  const rotated = await withDatabaseOfCommand(
    config.settings.DATABASE_URL,
    'keyledger audit rotate-key',
    async (client) => {
      await clock.read(client);
      return rotateKey(client, { events, sealing: new Sealing(config) }, compromised ? null : OVERLAP_DAYS);
    },
  ).catch((error: unknown) => {
    // The key cannot be opened with this secret.
    throw error instanceof DomainError ? new Failure(error.message, EXIT_REFUSED) : error;
  });
  if (!rotated) throw new Failure('No checkpoint has been signed yet, so there is no key to replace.', EXIT_REFUSED);
  const { epoch, logs, previousKeyEndsAt } = rotated;
  const endsAt = previousKeyEndsAt?.toISOString() ?? null;
  host.stdout.write(
    json
      ? `${JSON.stringify({ epoch, logs, previous_key_ends_at: endsAt })}\n`
      : `A new key signs the checkpoints of ${logs} audit logs, and an entry in each says so. ${
          endsAt
            ? `The earlier key signs, too, until ${localTime(endsAt)}.`
            : 'The earlier key has stopped signing: give the new one to your auditors.'
        }\n`,
  );
  return 0;
}
