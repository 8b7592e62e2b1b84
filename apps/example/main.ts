import { readSettings } from './settings.js';

try {
  const settings = readSettings(process.env, process.argv.slice(2));
  // Imported late, so that a configuration error is reported before the libraries are loaded.
  const { createExample } = await import('./example.js');
  const app = await createExample(settings);
  app.enableShutdownHooks(['SIGTERM', 'SIGINT', 'SIGHUP'], { useProcessExit: true });
  await app.listen(settings.port, '127.0.0.1');
  process.stdout.write(`The example API listens on ${await app.getUrl()} and asks ${settings.keyledgerUrl}.\n`);
} catch (error) {
  const { code, port, message } = error as NodeJS.ErrnoException & { port?: number };
  const taken = `EXAMPLE_PORT ${port} is taken by another process; stop it or set EXAMPLE_PORT to a free one.`;
  process.stderr.write(`${code === 'EADDRINUSE' ? taken : message}\n`);
  process.exit(1);
}
