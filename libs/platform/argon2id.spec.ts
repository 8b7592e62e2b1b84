import { describe, expect, it } from '@jest/globals';
import { builtModule } from '../../test/support/built-module.js';
import type { DomainError } from './errors.js';
import { Gauges } from './metrics.js';

// The built module hashes with less memory in tests. How the runs take turns does not depend on it.
const { Argon2id } = await builtModule<typeof import('./argon2id.js')>('#libs/platform/argon2id.js');

describe('Argon2id', () => {
  it('does not make one flow wait for a flood of another', async () => {
    const argon2id = new Argon2id('test', new Gauges());
    const done: string[] = [];
    const run = (flow: string) => argon2id.hash('a secret', flow).then(() => done.push(flow));
    const runs = Array.from({ length: 30 }, () => run('flood'));
    runs.push(run('bystander'));
    await Promise.all(runs);
    // The bystander waits for the run in progress and for those that run beside it, not for all thirty.
    expect(done.indexOf('bystander')).toBeLessThan(10);
  });

  it('rejects the excess of one flow, and keeps places for others', async () => {
    const argon2id = new Argon2id('test', new Gauges());
    const run = (flow: string) => argon2id.hash('a secret', flow);
    const refused: unknown[] = [];
    const flood = Array.from({ length: 110 }, () =>
      run('flood').catch((error: DomainError) => refused.push(error.code)),
    );
    await run('bystander');
    expect(refused).toEqual(Array.from({ length: 9 }, () => 'overloaded'));
    await Promise.all(flood);
  });
});
