import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { replayLogs, type Replayed } from '#libs/replay/replay.js';
import { startDeployment, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { runsOf } from '../support/properties.js';
import { newWorld, type World } from '../support/history-world.js';
import { everyOperation, operations, perform, step } from '../support/random-history.js';
import { routeTable } from '../support/route-table.js';

let deployment: Deployment;
let world: World;

beforeAll(async () => {
  deployment = await startDeployment();
  world = await newWorld(deployment);
}, 60_000);

afterAll(() => deployment.stop());

async function replayed(organizationId?: string): Promise<Replayed[]> {
  const client = await deployment.sql.connect();
  try {
    const all: Replayed[] = [];
    for await (const one of replayLogs(client, organizationId)) all.push(one);
    return all;
  } finally {
    client.release();
  }
}

/** What differs, or could not be compared. */
async function faults() {
  return (await replayed()).filter(
    ({ differences, leftOut, gap }) => differences.length > 0 || leftOut.length > 0 || gap !== null,
  );
}

/** These change nothing that a log rebuilds. */
const CHANGES_NOTHING: Readonly<Record<string, string>> = {
  'invitations.describe': 'reads an invitation: POST keeps its token out of logs',
  'find.find': 'finds what a text belongs to: POST keeps a secret out of logs',
  'apiKeys.createToken': 'is a use of the key, as apiKeys.verify is',
  'apiKeys.previewBulkChange': 'changes nothing: POST takes many ids',
  'leakedKeys.reportFromGitHub': 'does what leakedKeys.report does: leaked-keys.spec.ts replays it',
  'keyPolicy.preview': 'changes nothing: POST takes a policy',
  'deployment.setAuditRetention': 'is a setting: docs/security-model.md says what finds a change past the API',
  'deployment.placeLegalHold': 'the same',
  'deployment.liftLegalHold': 'the same',
};

describe('a replay of the audit logs', () => {
  it('covers every route that changes something', () => {
    const changing = routeTable.filter(({ route }) => route.method !== 'GET').map(({ name }) => name);
    const known = new Set([...Object.keys(operations), ...Object.keys(CHANGES_NOTHING)]);
    expect(changing.filter((name) => !known.has(name))).toEqual([]);
    expect(Object.keys(CHANGES_NOTHING).filter((name) => !changing.includes(name))).toEqual([]);
  });

  it('finds no difference after every operation', async () => {
    const outcomes = new Map<string, string>();
    for (const one of everyOperation) {
      const outcome = await perform(world, one);
      if (outcomes.get(one.do) !== 'done') outcomes.set(one.do, outcome);
      expect({ after: one, faults: await faults() }).toEqual({ after: one, faults: [] });
    }
    expect([...outcomes].filter(([, outcome]) => outcome !== 'done')).toEqual([]);
    expect([...outcomes.keys()].toSorted()).toEqual(Object.keys(operations).toSorted());
    await allIngested(deployment);
    expect(await faults()).toEqual([]);
  }, 240_000);

  it('finds no difference after any history', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 25 }), async (steps) => {
        for (const one of steps) await perform(world, one);
        expect(await faults()).toEqual([]);
      }),
      { numRuns: runsOf(6), endOnFailure: true },
    );
    await allIngested(deployment);
    expect(await faults()).toEqual([]);
  }, 240_000);

  it('finds no difference while operations and uses run at once, at any moment', async () => {
    const steps = fc.array(step, { minLength: 10, maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(fc.tuple(steps, steps, steps), async (histories) => {
        const ended = new AbortController();
        const performed = Promise.all(
          histories.map(async (history) => {
            for (const one of history) await perform(world, one);
          }),
        ).finally(() => ended.abort());
        const found: Replayed[] = [];
        while (!ended.signal.aborted) found.push(...(await faults()));
        await performed;
        expect([...found, ...(await faults())]).toEqual([]);
      }),
      { numRuns: runsOf(4), endOnFailure: true },
    );
  }, 240_000);
});
