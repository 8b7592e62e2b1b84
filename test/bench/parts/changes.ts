import type { Bench } from '../bench.ts';
import { timesASecond } from '../every.ts';
import { signInAll } from '../keys.ts';
import { progress, quantile, type Result } from '../report.ts';

const CHANGES_A_SECOND = 10;

/** Changes one key of each organization in turn: renames, disables and enables it. */
export async function measureChanges(bench: Bench): Promise<Result> {
  const { customers } = bench.deployment;
  const rate = await bench.halfLoad();
  const clients = await signInAll(customers.map(({ customer }) => customer));
  const spare = await Promise.all(customers.map(({ customer }) => customer.makeKey()));
  const kinds = ['update', 'disable', 'enable'] as const;
  const times: { kind: (typeof kinds)[number]; ms: number }[] = [];
  const change = async (index: number, dueAt: number) => {
    const customer = index % customers.length;
    const kind = kinds[Math.floor(index / customers.length) % kinds.length]!;
    const { apiKeys } = clients[customer]!;
    const params = { id: spare[customer]!.id };
    if (kind === 'update') await apiKeys.update({ params, body: { name: `Change ${index}` } });
    else await apiKeys[kind]({ params });
    times.push({ kind, ms: performance.now() - dueAt });
  };
  const meanwhile = (ended: AbortSignal) => timesASecond(CHANGES_A_SECOND, ended, change);
  progress(`Changes while ${rate}/s are verified`);
  await bench.pace({ ...bench.authz, meanwhile }, rate, bench.amounts.longSeconds);
  const of = (own: typeof times, share: number) =>
    quantile(
      own.map(({ ms }) => ms),
      share,
    );
  return {
    rows: kinds.map((kind) => {
      const own = times.filter((time) => time.kind === kind);
      return { change: kind, number: own.length, 'p50 ms': of(own, 0.5), 'p99 ms': of(own, 0.99) };
    }),
    figures: [{ what: 'a change, p99', value: of(times, 0.99), unit: 'ms', goal: { atMost: 20 } }],
  };
}
