import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Client } from '#libs/client/client.js';
import { createExample } from '../../apps/example/example.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { findChromium, inChromium, launchChromium } from './in-chromium.js';

const SHOP = 'shop.example.com';
const ELSEWHERE = 'elsewhere.test';

inChromium('the fetch of a real browser', () => {
  let deployment: Deployment;
  let ada: Account;
  let example: NestFastifyApplication;
  let pages: Server;
  let browser: Browser;

  beforeAll(async () => {
    deployment = await startDeployment();
    ada = await deployment.account();
    const service = await ada.client.apiKeys.create({ body: { name: 'Service', scopes: ['api-keys:verify'] } });
    example = await createExample({ keyledgerUrl: deployment.url, serviceKey: service.key });
    await example.listen(0, '127.0.0.1');
    pages = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<title>A page</title>'));
    await new Promise<void>((listening) => pages.listen(0, '127.0.0.1', listening));
    browser = await launchChromium(findChromium()!, [SHOP, ELSEWHERE]);
  });

  afterAll(async () => {
    await browser.close();
    pages.close();
    await example.close();
    await deployment.stop();
  });

  const newKey = (body: Partial<Parameters<Client['apiKeys']['create']>[0]['body']> = {}) =>
    ada.client.apiKeys.create({
      body: { name: 'Pair', scopes: ['triggers:read', 'api-keys:manage'], allowed_domains: [SHOP], ...body },
    });

  /** What a script on a page of this host gets: the status and the body, or the error. */
  async function fetchFrom(
    host: string,
    path: string,
    init: { method?: string; headers: Record<string, string>; body?: string },
    api = deployment.url,
  ) {
    const page = await browser.newPage();
    try {
      await page.goto(`http://${host}:${(pages.address() as AddressInfo).port}/`);
      return await page.evaluate(
        async ([url, options]) => {
          try {
            const response = await fetch(url, options);
            const requestId = response.headers.get('x-request-id');
            return { status: response.status, requestId, body: (await response.json()) as Record<string, unknown> };
          } catch (error) {
            return { error: (error as Error).name };
          }
        },
        [api + path, init] as const,
      );
    } finally {
      await page.close();
    }
  }

  const bearer = (credential: string) => ({ headers: { authorization: `Bearer ${credential}` } });

  it('with a public key reads the response and its headers on an allowed page', async () => {
    const { public_key: publicKey } = await newKey();
    expect(await fetchFrom(SHOP, '/api/v1/whoami', bearer(publicKey))).toMatchObject({
      status: 200,
      requestId: expect.stringMatching(/^req_/),
      body: { type: 'api_key', api_key: { credential: 'public_key', scopes: ['triggers:read'] } },
    });
  });

  it('is not sent from a page that no key allows', async () => {
    const { public_key: publicKey, id } = await newKey();
    expect(await fetchFrom(ELSEWHERE, '/api/v1/whoami', bearer(publicKey))).toEqual({ error: 'TypeError' });
    const { data } = await ada.client.audit.listEvents({ query: { key_id: id, type: 'api_key.denied' } });
    expect(data).toEqual([]);
  });

  it('from a page that only another key allows is rejected, and the page cannot read the reason', async () => {
    const { public_key: publicKey } = await newKey();
    await newKey({ allowed_domains: [ELSEWHERE] });
    expect(await fetchFrom(ELSEWHERE, '/api/v1/whoami', bearer(publicKey))).toEqual({ error: 'TypeError' });
  });

  it('that is rejected for another reason shows the reason to an allowed page', async () => {
    const { public_key: publicKey, id } = await newKey();
    await ada.client.apiKeys.disable({ params: { id } });
    expect(await fetchFrom(SHOP, '/api/v1/whoami', bearer(publicKey))).toMatchObject({
      status: 401,
      body: { code: 'disabled' },
    });
  });

  it('with the secret can make changes after a preflight for the method and the header', async () => {
    const { key, public_key: publicKey, id } = await newKey();
    const changed = await fetchFrom(SHOP, `/api/v1/api-keys/${id}`, {
      method: 'PATCH',
      headers: { 'x-api-key': `${publicKey}:${key}`, 'content-type': 'application/json' },
      body: '{"name":"From a page"}',
    });
    expect(changed).toMatchObject({ status: 200, body: { name: 'From a page' } });
  });

  it("with a public key reads the response of a vendor's API on an allowed page, and the reason of a rejection elsewhere", async () => {
    const { public_key: publicKey } = await ada.client.apiKeys.create({
      body: { name: 'Web shop', scopes: ['triggers:*'], allowed_domains: [SHOP] },
    });
    const vendor = await example.getUrl();
    const headers = { authorization: `Bearer ${publicKey}`, 'content-type': 'application/json' };
    const create = { method: 'POST', headers, body: '{"name":"Refund","event":"payment.refunded"}' };
    expect(await fetchFrom(SHOP, '/api/v1/triggers', create, vendor)).toMatchObject({
      status: 201,
      body: { organization_id: ada.organizationId, name: 'Refund' },
    });
    expect(await fetchFrom(ELSEWHERE, '/api/v1/triggers', create, vendor)).toMatchObject({
      status: 403,
      body: { code: 'origin_not_allowed' },
    });
  });
});
