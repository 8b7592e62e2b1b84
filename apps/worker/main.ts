import { runProcess } from '#libs/platform/process.js';

await runProcess('keyledger_worker', async (config) => {
  // Only now: what cannot start says so before the libraries are loaded.
  const { createWorker } = await import('./worker.js');
  const worker = await createWorker(config);
  return { stop: () => worker.close() };
});
