import { runProcess } from '#libs/platform/process.js';

await runProcess('keyledger_worker', async (config) => {
  // Imported late, so that a configuration error is reported before the libraries are loaded.
  const { createWorker } = await import('./worker.js');
  const worker = await createWorker(config);
  return { stop: () => worker.close() };
});
