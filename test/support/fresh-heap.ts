import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/**
 * Runs a function in a thread of its own, for a test that measures memory. A full garbage collection there takes
 * milliseconds; in a Jest worker, which keeps much of what earlier test files loaded, it takes seconds.
 *
 * @param used whatever `run` and the functions here refer to by name: only the text of a function gets into the thread
 */
export async function inFreshHeap<Result>(
  used: Record<string, unknown>,
  run: (collectGarbage: () => void) => Result | Promise<Result>,
): Promise<Result> {
  const constants = Object.entries(used).map(
    ([name, value]) => `const ${name} = ${typeof value === 'function' ? String(value) : JSON.stringify(value)};`,
  );
  const thread = new Worker(
    `require('node:v8').setFlagsFromString('--expose-gc');
     const collectGarbage = require('node:vm').runInNewContext('gc');
     ${constants.join('\n')}
     Promise.resolve((${String(run)})(collectGarbage)).then((result) => {
       require('node:worker_threads').parentPort.postMessage(result);
     });`,
    { eval: true },
  );
  const [result] = (await once(thread, 'message')) as [Result];
  await thread.terminate();
  return result;
}
