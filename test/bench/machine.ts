import { arch, cpus, platform, release, totalmem } from 'node:os';
import type { Deployment } from './deployment.ts';
import type { Amounts } from './bench.ts';
import { quantile } from './report.ts';

/** The conditions that the figures depend on. */
export async function describeMachine({ sql, processes, customers, keys }: Deployment, { rounds, seconds }: Amounts) {
  const { rows } = await sql.query<{ version: string; fsync: string; commit: string }>(
    `SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync,
            current_setting('synchronous_commit') AS commit`,
  );
  const { version, fsync, commit } = rows[0]!;
  const commitMs = (await commitTimes(sql)).map((time) => time.toFixed(2)).join(' / ');
  return {
    machine: `${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, ${platform()} ${release()} ${arch()}`,
    node: process.version,
    postgresql: `${version}${process.env['TEST_DATABASE_URL'] ? ' (given, not pinned)' : ''}`,
    fsync,
    synchronous_commit: commit,
    'commit p50/p99': `${commitMs} ms, one row inserted, nothing else going on`,
    cores: processes.pinned
      ? 'server measured on 0; PostgreSQL, worker and load generator on 1 unless it says otherwise'
      : 'not pinned',
    keys: `${keys.length} of ${customers.length} organizations in rotation`,
    rounds: `${rounds} of about ${seconds} s, medians`,
  };
}

/** The time that the disk needs to commit, which limits every flush of recorded uses. */
async function commitTimes(sql: Deployment['sql']): Promise<[number, number]> {
  await sql.query('CREATE TABLE bench_commit (id int)');
  const times: number[] = [];
  for (let id = 0; id < 200; id++) {
    const startedAt = performance.now();
    await sql.query('INSERT INTO bench_commit VALUES ($1)', [id]);
    times.push(performance.now() - startedAt);
  }
  return [quantile(times, 0.5), quantile(times, 0.99)];
}
