import fastify from 'fastify';

// The yardstick: Fastify as it comes, with nothing set, and the headers that a good key is answered with.
const HEADERS = {
  'x-request-id': 'req_01h455vb4pex5vsknk084sn02q',
  'cache-control': 'no-store',
  'x-organization-id': 'org_01h455vb4pex5vsknk084sn02q',
  'x-project-id': '-',
  'x-api-key-id': 'key_01h455vb4pex5vsknk084sn02q',
  'x-api-key-environment': 'test',
  'x-api-key-external-id': '-',
  'x-scopes': 'triggers:read',
  'x-authz-code': 'valid',
  'x-authz-status': '200',
};

const app = fastify();
app.get('/', (_request, reply) => reply.headers(HEADERS).send({ hello: 'world' }));
process.send?.({ type: 'ready', url: await app.listen({ port: 0, host: '127.0.0.1' }) });
process.on('disconnect', () => process.exit());
