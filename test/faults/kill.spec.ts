import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { Ledger, openCustomer, startLoad } from './ledger.js';
import { startProcesses } from './processes.js';
import { randomFrom } from './random.js';
import { expectAgreement, readSoundAuditLog } from './audit-log.js';

/** Each kill makes a process load its modules again, which takes most of the time of the test. */
const KILLS = Number(process.env['KILLS'] ?? (process.env['CI'] ? 20 : 8));
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const MEAN_PAUSE_MS = 250;
/**
 * Most kills wait until the process is ready. Otherwise a process on a slow machine would hardly ever leave its start.
 */
const HIT_WHILE_STARTING = 0.25;

it('every confirmed event is in the audit log exactly once, whichever process is killed at any time', async () => {
  const random = randomFrom(SEED);
  const deployment = await startProcesses({ apis: 2 });
  try {
    const urls = deployment.apis.map(({ url }) => url);
    const customers = await Promise.all([0, 1, 2].map(() => openCustomer(urls[0]!)));
    const ledger = new Ledger();
    const stopLoad = startLoad(ledger, urls, customers);

    const services = [...deployment.apis, deployment.worker];
    // One API can serve while the other is down. On average, every second kill hits the worker.
    const victims = [...services, deployment.worker];
    for (let kill = 0; kill < KILLS; kill++) {
      await sleep(random() * 2 * MEAN_PAUSE_MS);
      const victim = victims[Math.floor(random() * victims.length)]!;
      if (random() > HIT_WHILE_STARTING) await victim.ready;
      await victim.killAndRestart();
    }
    await Promise.all(services.map(({ ready }) => ready));
    await stopLoad();

    expect(deployment.failures).toEqual([]);
    const auditLog = await readSoundAuditLog(deployment.sql);
    expectAgreement(ledger, auditLog);
    report(ledger, auditLog.length);
    // The kills hit requests only if the client got both kinds of results.
    expect(ledger.count('yes')).toBeGreaterThan(10 * KILLS);
    expect(ledger.count('nothing')).toBeGreaterThan(0);
  } finally {
    await deployment.stop();
  }
}, 300_000);

function report(ledger: Ledger, events: number): void {
  const responses = [...ledger.responses].map(([kind, times]) => `${times} ${kind}`).join(', ');
  process.stderr.write(
    `kill test: SEED=${SEED} KILLS=${KILLS}; responses: ${responses}; ${events} events in the audit log\n`,
  );
}
