import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { newId, toUuid } from '#libs/contract/ids.js';
import type { Admission } from '#libs/admission/admission.js';
import type { Basis, ConditionalUse } from '#libs/admission/conditional-event.js';
import { builtModule } from '../support/built-module.js';
import { startDeployment, type Deployment } from '../support/deployment.js';
import { useOf } from '../support/uses.js';

const built = await builtModule<typeof import('#libs/admission/admission.js')>('#libs/admission/admission.js');

let deployment: Deployment;
let admission: Admission;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  admission = deployment.api.get(built.Admission);
  // The tests undo changes, as a failover can. The triggers would prevent that.
  await deployment.sql.query(
    'ALTER TABLE authz_state DISABLE TRIGGER USER; ALTER TABLE authz_change DISABLE TRIGGER USER',
  );
});

afterAll(() => deployment.stop());

const SHARD = 7;
const ids = Array.from({ length: 6 }, () => newId('key', new Date()));
const use = useOf(newId('org', new Date()));

async function stateNow(): Promise<{ seq: number; tag: string }> {
  const { rows } = await deployment.sql.query<{ seq: number; tag: string }>(
    'SELECT seq::float8 AS seq, tag::text FROM authz_state WHERE shard = $1',
    [SHARD],
  );
  return rows[0]!;
}

/** Leaves the rows that any version of the product leaves after a change. */
async function change(id: string, kind = 'api_key'): Promise<void> {
  await deployment.sql.query(
    `WITH moved AS (UPDATE authz_state SET seq = seq + 1, tag = $2 WHERE shard = $1 RETURNING shard, seq, tag)
     INSERT INTO authz_change (shard, seq, tag, kind, id) SELECT shard, seq, tag, $3, $4 FROM moved`,
    [SHARD, randomBytes(8).readBigInt64BE().toString(), kind, toUuid(id)],
  );
}

const basis = async (restsOn: string[]): Promise<Basis> => ({ shard: SHARD, ...(await stateNow()), restsOn });
const outcome = async (event: Pick<ConditionalUse, 'basis'> & Partial<ConditionalUse>) =>
  (await admission.append({ shard: SHARD, use, ...event })).is;

describe('a decision', () => {
  beforeAll(() => change(ids[0]!));

  it('is stored exactly if nothing that it depends on has changed, whatever else changes or is in its batch', async () => {
    const some = fc.subarray(ids, { minLength: 1 });
    const decision = fc.record({ restsOn: some, askedBy: fc.option(some), separate: fc.boolean() });
    const decisions = fc.array(decision, { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(decisions, fc.array(fc.constantFrom(...ids), { maxLength: 4 }), async (asked, changed) => {
        const made = await Promise.all(
          asked.map(async ({ restsOn, askedBy, separate }) => ({
            basis: await basis(restsOn),
            callerBasis: askedBy ? await basis(askedBy) : undefined,
            separate,
          })),
        );
        for (const id of changed) await change(id);
        const outcomes = await Promise.all(made.map((event) => outcome(event)));
        const isWrong = made.map((event) =>
          [event.basis, event.callerBasis].some((of) => of?.restsOn.some((id) => changed.includes(id))),
        );
        for (const [index, { separate }] of made.entries()) {
          // A wrong decision is never stored. A right one may be rejected for retry only if its batch has a wrong one.
          if (isWrong[index]) expect(outcomes[index]).toBe('stale');
          else if (separate || !isWrong.includes(true)) expect(outcomes[index]).toBe('admitted');
        }
      }),
      { numRuns: 60 },
    );
  });

  it('about the calling key follows the same rule', async () => {
    const [own, asking, other] = ids as [string, string, string];
    const before = { basis: await basis([own]), callerBasis: await basis([asking]) };
    await change(other);
    expect(await outcome(before)).toBe('admitted');
    await change(asking);
    expect(await outcome(before)).toBe('stale');
    expect(await outcome({ ...before, callerBasis: await basis([asking]) })).toBe('admitted');
  });

  it('is repeated if a change in between has a kind that this version does not know', async () => {
    const before = await basis([ids[1]!]);
    await change(ids[2]!, 'tenant');
    expect(await outcome({ basis: before })).toBe('stale');
  });

  it('is repeated if the record of the changes has a gap, or its state was lost in a failover', async () => {
    const before = await basis([ids[1]!]);
    for (const id of [ids[2]!, ids[3]!, ids[4]!]) await change(id);
    expect(await outcome({ basis: { ...before, tag: (BigInt(before.tag) ^ 1n).toString() } })).toBe('stale');
    expect(await outcome({ basis: { ...before, seq: before.seq + 1 } })).toBe('stale');
    await deployment.sql.query('DELETE FROM authz_change WHERE shard = $1 AND seq = $2', [SHARD, before.seq + 2]);
    expect(await outcome({ basis: before })).toBe('stale');
  });

  it('is repeated if its state is newer than the database after a failover', async () => {
    await change(ids[2]!);
    const before = await basis([ids[1]!]);
    await deployment.sql.query('UPDATE authz_state SET seq = seq - 1, tag = $2 WHERE shard = $1', [SHARD, '42']);
    await deployment.sql.query('DELETE FROM authz_change WHERE shard = $1 AND seq = $2', [SHARD, before.seq]);
    expect(await outcome({ basis: before })).toBe('stale');
    await change(ids[3]!);
    expect(await outcome({ basis: before })).toBe('stale');
  });
});
