import cluster from 'node:cluster';
import { runProcess } from '#libs/platform/process.js';

await runProcess('keyledger_api', async (config) => {
  if (cluster.isPrimary && config.settings.API_PROCESSES > 1) {
    const { ApiProcesses } = await import('./api-processes.js');
    return ApiProcesses.start(config);
  }
  // Imported late, so that a configuration error is reported before the libraries are loaded.
  const { createApi } = await import('./api.js');
  const app = await createApi(config);
  await app.listen(config.settings.PORT, config.settings.HOST);
  return { url: await app.getUrl(), stop: () => app.close() };
});
