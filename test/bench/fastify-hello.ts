import fastify from 'fastify';
import { HEADERS } from './headers.ts';

// The yardstick: Fastify as it comes, with nothing set, and the headers that a good key is answered with.
const app = fastify();
app.get('/', (_request, reply) => reply.headers(HEADERS).send({ hello: 'world' }));
process.send?.({ type: 'ready', url: await app.listen({ port: 0, host: '127.0.0.1' }) });
process.on('disconnect', () => process.exit());
