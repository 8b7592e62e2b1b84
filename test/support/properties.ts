import fc from 'fast-check';

/** Sequences of runs at a time: one alone waits for the service more than it computes. */
const AT_ONCE = 2;

/** `PROPERTY_RUNS=10 npm test` checks the properties of the service ten times as often. */
const TIMES = Number(process.env['PROPERTY_RUNS'] ?? 1);

export const runsOf = (count: number): number => Math.ceil(count * TIMES);

/**
 * Checks a property whose runs do not depend on each other. A failure is reported as it is, with the seed to repeat it:
 * the search for a smaller one would use the service for minutes, beyond the end of the test.
 */
export async function expectHolds<Values>(property: fc.IAsyncProperty<Values>, count: number): Promise<void> {
  const numRuns = runsOf(count / AT_ONCE);
  await Promise.all(Array.from({ length: AT_ONCE }, () => fc.assert(property, { numRuns, endOnFailure: true })));
}
