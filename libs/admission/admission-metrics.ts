import { histogram, PlainCounter } from '#libs/platform/metrics.js';

export const admissionMetrics = {
  batchSize: histogram(
    'keyledger_admission_batch_events',
    'Events that were sent to be recorded together',
    [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
  ),
  statementSeconds: histogram(
    'keyledger_admission_statement_seconds',
    'From sending an admission statement to its response',
    [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2],
    ['statement'],
  ),
  stale: new PlainCounter(
    'keyledger_admission_stale_total',
    'Events that were decided anew because the authorization state had moved',
  ).of({}),
  refused: new PlainCounter(
    'keyledger_admission_refused_total',
    'Events that could not be recorded, or of which nobody knows whether they were',
  ).of({}),
};
