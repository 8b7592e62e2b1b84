import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { startOwnServer } from '../support/own-server.js';
import { Ledger, openCustomer, startLoad } from './ledger.js';
import { startProcesses } from './processes.js';
import { startReaders, type Readings } from './proof-readers.js';
import { randomFrom } from './random.js';
import { expectAgreement, readSoundAuditLog } from './audit-log.js';

/**
 * Each kill makes a process load its modules again, which takes most of the time of the test. Every run has another seed,
 * and `KILLS=200 npm test -- faults/kill` is a longer run.
 */
const KILLS = Number(process.env['KILLS'] ?? (process.env['CI'] ? 20 : 6));
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const MEAN_PAUSE_MS = 250;
/**
 * Most kills wait until the process is ready. Otherwise a process on a slow machine would hardly ever leave its start.
 */
const HIT_WHILE_STARTING = 0.25;
/** One of so many kills hits PostgreSQL. A process that starts without it ends, so all have started. */
const DATABASE_EVERY = 8;

it('every confirmed event is in the audit log exactly once, and every proof is right, whichever process is killed at any time', async () => {
  const random = randomFrom(SEED);
  const server = await startOwnServer();
  const deployment = await startProcesses({ apis: 2, server });
  try {
    const urls = deployment.apis.map(({ url }) => url);
    const customers = await Promise.all([0, 1, 2].map(() => openCustomer(urls[0]!)));
    const ledger = new Ledger();
    const stopLoad = startLoad(ledger, urls, customers);
    const readers = startReaders(urls, customers, randomFrom(SEED + 1));
    const { readings } = readers;

    const services = [...deployment.apis, deployment.worker];
    // One API can serve while the other is down. On average, every second kill hits the worker.
    const victims = [...services, deployment.worker];
    for (let kill = 0; kill < KILLS; kill++) {
      await sleep(random() * 2 * MEAN_PAUSE_MS);
      if (kill % DATABASE_EVERY === DATABASE_EVERY >> 1) {
        await Promise.all(services.map(({ ready }) => ready));
        await server.crash();
        continue;
      }
      const victim = victims[Math.floor(random() * victims.length)]!;
      if (random() > HIT_WHILE_STARTING) await victim.ready;
      await victim.killAndRestart();
    }
    await Promise.all(services.map(({ ready }) => ready));
    // On a slow machine, the processes hardly leave their starts between two kills.
    await eventually(
      async () => Math.min(readings.checkpoints, readings.proofs, ledger.count('yes') / 10),
      (done) => done > KILLS,
    );
    await stopLoad();
    await readers.stop();

    expect(deployment.failures).toEqual([]);
    const auditLog = await readSoundAuditLog(deployment.sql);
    expectAgreement(ledger, auditLog);
    report(ledger, auditLog.length, readings);
    expect(readings.wrong).toEqual([]);
    expect(readings.checkpoints).toBeGreaterThan(KILLS);
    expect(readings.proofs).toBeGreaterThan(KILLS);
    // The kills hit requests only if the client got both kinds of results.
    expect(ledger.count('yes')).toBeGreaterThan(10 * KILLS);
    expect(ledger.count('nothing')).toBeGreaterThan(0);
  } finally {
    await deployment.stop();
    await server.stop();
  }
}, 1_800_000);

function report(ledger: Ledger, events: number, { checkpoints, proofs, lost }: Readings): void {
  const responses = [...ledger.responses].map(([kind, times]) => `${times} ${kind}`).join(', ');
  process.stderr.write(
    `kill test: SEED=${SEED} KILLS=${KILLS}; responses: ${responses}; ${events} events in the audit log; ` +
      `read and verified: ${checkpoints} checkpoints, ${proofs} proofs; ${lost} readings without a response\n`,
  );
}
