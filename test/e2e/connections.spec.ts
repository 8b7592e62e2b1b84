import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Problem } from '#libs/contract/problem.js';
import { HTTP_LIMITS } from '#libs/platform/http/http-limits.js';
import { builtModule } from '../support/built-module.js';
import { startDeployment, type Deployment } from '../support/deployment.js';
import { RawConnection, rawRequest, type RawResponse } from '../support/raw-http.js';

const { registry } = await builtModule<typeof import('#libs/platform/metrics.js')>('#libs/platform/metrics.js');

/** The longest time that a documented proxy keeps an idle connection. */
const LONGEST_PROXY_MS = 600_000;

/** A path served by Nest, and one served beside it. */
const paths = ['/health/live', '/authz'];
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: keyledger.test\r\n\r\n`;

function problemIn({ status, headers, body }: RawResponse): Problem {
  expect(headers['content-type']).toBe('application/problem+json');
  expect(headers['cache-control']).toBe('no-store');
  const problem = Problem.parse(JSON.parse(body));
  expect(problem).toMatchObject({ status, request_id: headers['x-request-id'] });
  return problem;
}

describe('a connection to the served port', () => {
  let deployment: Deployment;

  beforeAll(async () => {
    deployment = await startDeployment({ worker: false });
  });

  afterAll(() => deployment.stop());

  it('is kept longer than proxies keep it, and every other limit is set explicitly', () => {
    const server = deployment.api.getHttpServer();
    expect(server.keepAliveTimeout).toBeGreaterThan(LONGEST_PROXY_MS);
    expect(server).toMatchObject({
      headersTimeout: HTTP_LIMITS.headersTimeout,
      requestTimeout: HTTP_LIMITS.requestTimeout,
      maxHeadersCount: 0,
      maxRequestsPerSocket: 0,
      maxConnections: HTTP_LIMITS.maxConnections,
      timeout: 0,
    });
    expect(HTTP_LIMITS.headersTimeout).toBeLessThan(HTTP_LIMITS.requestTimeout);
  });

  it('tells its client how long it is kept', async () => {
    for (const path of paths) {
      const { headers } = await rawRequest(deployment.url, get(path));
      expect(headers['keep-alive']).toBe(`timeout=${HTTP_LIMITS.keepAliveTimeout / 1_000}`);
    }
  });

  it('responds to pipelined requests in order', async () => {
    const connection = await RawConnection.open(deployment.url);
    connection.send(get('/health/live') + get('/authz') + get('/nowhere') + get('/health/live'));
    const statuses: number[] = [];
    for (let index = 0; index < 4; index++) statuses.push((await connection.response()).status);
    expect(statuses).toEqual([200, 401, 404, 200]);
    connection.close();
  });

  it('loses no header behind many others', async () => {
    const many = Array.from({ length: 2_100 }, () => 'a:\r\n').join('');
    const { body } = await rawRequest(
      deployment.url,
      `GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\n${many}X-API-Key: one\r\nAuthorization: Bearer two\r\n\r\n`,
    );
    expect(JSON.parse(body)).toMatchObject({ code: 'multiple_credentials' });
  });

  it.each(['GET /health/live', 'GET /authz', 'POST /api/v1/auth/login'])(
    'of %s with too many headers gets a problem',
    async (start) => {
      const response = await rawRequest(
        deployment.url,
        `${start} HTTP/1.1\r\nHost: x\r\nX-Filler: ${'x'.repeat(HTTP_LIMITS.maxHeaderSize)}\r\n\r\n`,
      );
      expect(response.headers['connection']).toBe('close');
      expect(problemIn(response)).toMatchObject({ status: 431, code: 'headers_too_large' });
    },
  );

  it('without HTTP gets a problem, without an echo', async () => {
    const garbage = [
      'SECRET\r\n\r\n',
      'FETCH /SECRET HTTP/1.1\r\nHost: x\r\n\r\n',
      'GET / HTTP/9.9\r\nX: SECRET\r\n\r\n',
      'GET / HTTP/1.1\r\nHost: x\r\nBad Name: SECRET\r\n\r\n',
      'GET / HTTP/1.1\r\nHost: x\r\nX: SEC\0RET\r\n\r\n',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n',
      'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nSECRET\r\n',
      'CONNECT SECRET:443 HTTP/1.1\r\nHost: x\r\n\r\n',
      Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01]),
    ];
    for (const bytes of garbage) {
      const response = await rawRequest(deployment.url, bytes);
      expect(problemIn(response)).toMatchObject({ status: 400, code: 'invalid_request' });
      expect(response.body).not.toMatch(/SECRET|\bat .*:\d+/);
    }
  });

  it.each([
    ['without a host', 'GET /health/live HTTP/1.1\r\n\r\n', 'headers.host'],
    [
      'with an expectation that is not known',
      `GET /authz HTTP/1.1\r\nHost: x\r\nExpect: more\r\n\r\n`,
      'headers.expect',
    ],
  ])('with a request %s gets a problem', async (_, bytes, location) => {
    const problem = problemIn(await rawRequest(deployment.url, bytes));
    expect(problem).toMatchObject({ status: 400, errors: [{ location }] });
  });
});

describe('a connection whose client takes its time', () => {
  let deployment: Deployment;

  beforeAll(async () => {
    const limits = {
      headersTimeout: 300,
      requestTimeout: 600,
      connectionsCheckingInterval: 50,
      keepAliveTimeout: 2_000,
    };
    deployment = await startDeployment({ worker: false, limits });
  });

  afterAll(() => deployment.stop());

  it.each([
    ['its headers', 'GET /health/live HTTP/1.1\r\nHost: x\r\n'],
    ['its headers for a gateway', 'GET /authz HTTP/1.1\r\nHost: x\r\n'],
    [
      'its body',
      `POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{`,
    ],
    [
      'its chunks',
      'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n',
    ],
    ['anything at all', ''],
  ])('to send %s is cut off with a problem', async (_, start) => {
    const connection = await RawConnection.open(deployment.url);
    connection.send(start);
    expect(problemIn(await connection.response())).toMatchObject({ status: 408, code: 'request_timeout' });
    expect(await connection.closesWithin(3_000)).toBe(true);
    expect(connection.pending).toBe('');
  });

  it('is cut off even if it sends a byte from time to time', async () => {
    const connection = await RawConnection.open(deployment.url);
    connection.send(
      'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n',
    );
    const drip = setInterval(() => connection.send(' '), 50);
    expect(problemIn(await connection.response()).status).toBe(408);
    expect(await connection.closesWithin(3_000)).toBe(true);
    clearInterval(drip);
  });
});

describe('a server at its limit of connections', () => {
  it('closes a new connection, counts it, and accepts another when one has ended', async () => {
    const deployment = await startDeployment({ worker: false, limits: { maxConnections: 3 } });
    const dropped = async () =>
      Number((await registry.getSingleMetricAsString('keyledger_http_connections_dropped_total')).split(' ').at(-1));
    const before = await dropped();
    const open = await Promise.all([1, 2, 3].map(() => RawConnection.open(deployment.url)));
    for (const connection of open) {
      connection.send(get('/health/live'));
      expect((await connection.response()).status).toBe(200);
    }
    const fourth = await RawConnection.open(deployment.url);
    expect(await fourth.closesWithin(3_000)).toBe(true);
    expect((await dropped()) - before).toBe(1);
    open[0]!.close();
    await sleep(100);
    expect((await rawRequest(deployment.url, get('/health/live'))).status).toBe(200);
    await deployment.stop();
  });
});

describe('a server that stops', () => {
  it('responds to the first request of a connection that it had just accepted', async () => {
    const deployment = await startDeployment({ worker: false });
    const connection = await RawConnection.open(deployment.url);
    const stopped = deployment.stop();
    connection.send(get('/authz'));
    expect((await connection.response()).status).toBe(401);
    expect(await connection.closesWithin(3_000)).toBe(true);
    await stopped;
  });

  it('does not wait for idle, silent or unfinished clients', async () => {
    const deployment = await startDeployment({ worker: false, limits: { closeGrace: 300 } });
    const [resting, resumed, silent, headers, body] = await Promise.all(
      Array.from({ length: 5 }, () => RawConnection.open(deployment.url)),
    );
    for (const connection of [resting!, resumed!]) {
      connection.send(get('/health/live'));
      await connection.response();
    }
    resumed!.send(get('/authz'));
    await resumed!.response();
    headers!.send('GET /health/live HTTP/1.1\r\nHost: x\r\n');
    body!.send(
      'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
    );
    await sleep(100);
    const startedAt = performance.now();
    await deployment.stop();
    // Less than the time after which the process gives up and reports a failure.
    expect(performance.now() - startedAt).toBeLessThan(9_000);
    expect(HTTP_LIMITS.closeGrace).toBeLessThan(9_000);
    for (const connection of [resting!, resumed!, silent!, headers!, body!]) {
      expect(await connection.closesWithin(1_000)).toBe(true);
    }
  });
});
