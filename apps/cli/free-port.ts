import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Linux takes the ports of outgoing connections from 32768 up, other systems from higher ones. A port below that is
 * still free when its user is ready to listen, unless another process chooses the very same one.
 */
const [LOWEST, HIGHEST] = [20_000, 32_767];
const ATTEMPTS = 100;

/** Returns a port that is free at this moment. */
export async function freePort(): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const server = createServer();
    try {
      const port = randomInt(LOWEST, HIGHEST + 1);
      await once(server.listen(port, '127.0.0.1'), 'listening');
      server.close();
      await once(server, 'close');
      return port;
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
    }
  }
}
