import { runProcess } from '#libs/platform/process.js';

await runProcess('keyledger_api', async (config) => {
  // Imported late, so that a configuration error is reported before the libraries are loaded.
  const { createApi } = await import('./api.js');
  const app = await createApi(config);
  await app.listen(config.settings.PORT, config.settings.HOST);
  return { url: await app.getUrl(), stop: () => app.close() };
});
