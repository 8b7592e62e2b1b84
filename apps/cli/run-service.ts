import { fileURLToPath } from 'node:url';

/** Makes this process the service, as if Node had started its program. The service ends the process. */
export async function runService(name: 'api' | 'worker'): Promise<never> {
  const program = new URL(`../${name}/main.js`, import.meta.url);
  // A service takes no arguments, and the API starts this program again for `API_PROCESSES`.
  process.argv.splice(1, Infinity, fileURLToPath(program));
  await import(program.href);
  return new Promise<never>(() => undefined);
}
