import { runProcess } from '#libs/platform/process.js';
import { createApi } from './api.js';

await runProcess('keyledger_api', async (config) => {
  const app = await createApi(config);
  await app.listen(config.settings.PORT, config.settings.HOST);
  return { url: await app.getUrl(), stop: () => app.close() };
});
