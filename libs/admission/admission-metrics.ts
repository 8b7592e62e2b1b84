import { histogram, PlainCounter } from '#libs/platform/metrics.js';

export const admissionMetrics = {
  batchSize: histogram(
    'keyledger_admission_batch_events',
    'Events that one admission statement recorded',
    [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
  ),
  statementSeconds: histogram(
    'keyledger_admission_statement_seconds',
    'Time from sending an admission statement to its response',
    [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2],
    ['statement'],
  ),
  stale: new PlainCounter(
    'keyledger_admission_stale_total',
    'Decisions that were repeated because the authorization state had changed',
  ).of({}),
  refused: new PlainCounter(
    'keyledger_admission_refused_total',
    'Events that were not recorded, or for which this is unknown',
  ).of({}),
};
