import fastify from 'fastify';
import { HEADERS } from './headers.ts';

// The baseline: Fastify with default settings, and the headers of a response to a valid key.
const app = fastify();
app.get('/', (_request, reply) => reply.headers(HEADERS).send({ hello: 'world' }));
process.send?.({ type: 'ready', url: await app.listen({ port: 0, host: '127.0.0.1' }) });
process.on('disconnect', () => process.exit());
