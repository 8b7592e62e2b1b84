import { runProcess } from '#libs/platform/process.js';
import { createWorker } from './worker.js';

await runProcess('keyledger_worker', async (config) => {
  const worker = await createWorker(config);
  return { stop: () => worker.close() };
});
