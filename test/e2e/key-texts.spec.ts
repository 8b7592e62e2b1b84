import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { keyTextNames, keyTexts, mapKeyTexts } from '#libs/contract/api-key-texts.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { rejection } from '../support/rejection.js';

let deployment: Deployment;
let owner: Account;

beforeAll(async () => {
  deployment = await startDeployment();
  owner = await deployment.account();
});

afterAll(() => deployment.stop());

const scopes = ['triggers:read'];
/** Each text as long as it may be, with characters outside of ASCII. */
const longest = mapKeyTexts((_name, { maxLength }) => `ü${'x'.repeat(maxLength - 1)}`);
const none = mapKeyTexts(() => null);

async function eventsOf(subject: string) {
  await allIngested(deployment);
  const { data } = await owner.client.audit.listEvents({ query: { subject, limit: 100 } });
  return data.map(({ event }) => event);
}

describe('the texts of a key', () => {
  it('are stored at its creation, shown in every response, and recorded', async () => {
    const { id, ...created } = await owner.client.apiKeys.create({ body: { name: 'Texts', scopes, ...longest } });
    expect(created).toMatchObject(longest);
    expect(await owner.client.apiKeys.get({ params: { id } })).toMatchObject(longest);
    const { data } = await owner.client.apiKeys.list({ query: { search: id } });
    expect(data).toMatchObject([longest]);
    const [event] = await eventsOf(id);
    expect(event).toMatchObject({ type: 'api_key.created', data: longest });
  });

  it('are null if they are not given, and null after their removal', async () => {
    const { id, ...created } = await owner.client.apiKeys.create({ body: { name: 'No texts', scopes } });
    expect(created).toMatchObject(none);
    await owner.client.apiKeys.update({ params: { id }, body: longest });
    expect(await owner.client.apiKeys.update({ params: { id }, body: none })).toMatchObject(none);
  });

  it.each(keyTextNames)('%s can be changed alone, and the event has its old and its new value', async (name) => {
    const { id } = await owner.client.apiKeys.create({ body: { name: 'Changed', scopes, ...longest } });
    const changed = await owner.client.apiKeys.update({ params: { id }, body: { [name]: '  new text ' } });
    expect(changed).toMatchObject({ ...longest, [name]: 'new text' });
    const updated = (await eventsOf(id)).find(({ type }) => type === 'api_key.updated');
    expect(updated?.data['changes']).toEqual({ [name]: { before: longest[name], after: 'new text' } });
  });

  it.each(keyTextNames)('%s is rejected if it is too long', async (name) => {
    const body = { name: 'Too long', scopes, [name]: 'x'.repeat(keyTexts[name].maxLength + 1) };
    const refused = await rejection(owner.client.apiKeys.create({ body }));
    expect(refused).toMatchObject({ problem: { code: 'invalid_request', errors: [{ location: `body.${name}` }] } });
  });

  it('are returned by a verification if they are meant for it; the owner note never is', async () => {
    const { key } = await owner.client.apiKeys.create({ body: { name: 'Verified', scopes, ...longest } });
    const verified = await owner.client.apiKeys.verify({ body: { key } });
    expect(verified.api_key).toMatchObject({ external_id: longest.external_id });
    expect(JSON.stringify(verified)).not.toContain('note');
  });
});
