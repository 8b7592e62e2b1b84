import fastify from 'fastify';

// The yardstick: Fastify as it comes, with nothing set.
const app = fastify();
app.get('/', () => ({ hello: 'world' }));
process.send?.({ type: 'ready', url: await app.listen({ port: 0, host: '127.0.0.1' }) });
process.on('disconnect', () => process.exit());
