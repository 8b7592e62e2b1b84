import { readFile, rename } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Page, Route } from 'playwright-core';
import { signCheckpoint } from '#libs/tlog/checkpoint.js';
import { formatVkey, parseVkey, type NoteSigner } from '#libs/tlog/note.js';
import { verifyReceipt } from '#libs/tlog/receipt.js';
import { signRotation } from '#libs/tlog/rotation.js';
import { fillAuditLog } from '../support/audit-log.js';
import { runAuditUpkeep, setAuditTime } from '../support/audit-retention.js';
import type { Account } from '../support/deployment.js';
import { allIngested, event, put } from '../support/events.js';
import { eventually } from '../support/eventually.js';
import { noteSigner } from '../support/note-signer.js';
import { consistencyPath, leafHashOf, treeHash } from '../support/reference-tree.js';
import { Witness } from '../support/witness.js';
import { inChromium } from './in-chromium.js';
import {
  expectAccessible,
  expectCleanEnd,
  expectFitsNarrowly,
  expectNoComplaints,
  moveTo,
  startDashboard,
  until,
  type Dashboard,
} from './dashboard.js';

const SIZE = 1_500;

inChromium('the integrity of an audit log', () => {
  let dashboard: Dashboard;
  let ada: Account;
  let team: string;
  let keyId: string;
  let page: Page;
  let witness: Witness;

  beforeAll(async () => {
    witness = await Witness.start('witness.example/w');
    const WITNESSES = `${witness.vkey} ${witness.url}`;
    dashboard = await startDashboard({ WITNESSES, WITNESS_QUORUM: '1', WITNESS_SECONDS: '1' });
    ada = await dashboard.account();
    ({ id: team } = await ada.client.organizations.create({ body: { name: 'Acme' } }));
    const body = { name: 'Production server', organization_id: team, scopes: ['triggers:read'] };
    ({ id: keyId } = await ada.client.apiKeys.create({ body }));
    await allIngested(dashboard);
    await fill(team, SIZE);
    page = await dashboard.signedIn(ada, `/org/${team}/integrity`);
  });

  beforeEach(async () => {
    await page.unrouteAll();
    await page.evaluate('localStorage.clear()');
  });

  afterAll(async () => {
    await dashboard.stop();
    await witness.stop();
  });

  const DATA = { ip: '192.0.2.1', user_agent: null, request_id: null, seq: 1, method: 'GET', cost: 1, scopes: [] };
  const fill = (organizationId: string, size: number) =>
    fillAuditLog(dashboard.sql, size, { organizationId, apiKeyId: keyId, data: DATA, path: '/things/' });
  const open = (organizationId = team) => dashboard.open(page, `/org/${organizationId}/integrity`);
  const openEvent = (index: number) => dashboard.open(page, `/org/${team}/audit?event=${index}`);
  const moveToEvent = (index: number) => moveTo(page, `/org/${team}/audit?event=${index}`);
  const text = async (call: Promise<Response>) => (await call).text();
  const checkpoint = () => text(ada.client.audit.checkpoint({ params: { id: team } }));
  const vkey = async () => (await text(ada.client.audit.vkeys({ params: { id: team } }))).trim();
  const verified = (on = page) => on.getByText('continues every checkpoint that this browser verified').waitFor();
  const button = (name: string) => page.getByRole('button', { name, exact: true });
  const alert = () => page.getByRole('alert');
  const expectRed = (text: string | RegExp) => alert().filter({ hasText: text }).first().waitFor();
  const drawer = () => page.getByRole('dialog', { name: /^Event/ });

  /** Lets a tamperer change what the server sends to this address. */
  async function tamper(address: RegExp, change: (body: Buffer) => Buffer | string): Promise<void> {
    await page.route(address, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: change(await response.body()) });
    });
  }

  /** Changes one byte. */
  function flipped(body: Buffer, at: number): Buffer {
    const changed = Buffer.from(body);
    changed[at] = changed[at]! ^ 1;
    return changed;
  }

  async function downloaded(name: string): Promise<string> {
    await page.evaluate('delete window.showSaveFilePicker');
    const download = page.waitForEvent('download');
    await button(name).click();
    return readFile(await (await download).path(), 'utf8');
  }

  it('is shown with every event: verified in the browser, from which checkpoint, with a receipt to keep', async () => {
    await openEvent(41);
    await drawer().getByText('Verified in this browser').waitFor();
    await drawer().getByText('Leaf 41 of the checkpoint of 1,500 entries').waitFor();
    const { index, entry } = verifyReceipt(await downloaded('Download the receipt'), [parseVkey(await vkey())]);
    expect([index, Buffer.from(entry).toString()]).toEqual([41, expect.stringContaining('"path":"/things/41"')]);
    await button('Older event').click();
    await drawer().getByText('Leaf 40 of the checkpoint of 1,500 entries').waitFor();
    expectNoComplaints(page);
  });

  it('is explained on a page with size, root, origin, key and commands', async () => {
    await open();
    await verified();
    const [origin, size, root] = (await checkpoint()).split('\n');
    expect(size).toBe('1500');
    for (const shown of ['1,500', root!, origin!, await vkey()]) await page.getByText(shown, { exact: true }).waitFor();
    await page.getByText(`keyledger audit verify --organization ${team}`).first().waitFor();
    await page.getByText('the server that is verified also serves the page').waitFor();
    expect(await downloaded('Download the checkpoint')).toBe(await checkpoint());
    expectNoComplaints(page);
  });

  it('names the witnesses, and what they have cosigned as the server says', async () => {
    const integrity = () => ada.client.audit.integrity({ query: { organization_id: team } });
    await eventually(integrity, ({ witnesses }) => witnesses?.cosigned?.size === SIZE, 15_000);
    await open();
    await page.getByText(/At least 1 cosigned the first 1,500 entries/).waitFor();
    expect(await page.getByText('witness.example/w: up to date').count()).toBe(1);
    await expectAccessible(page);
  });

  it('is verified for the whole log, by keyboard, with progress, and remembered', async () => {
    await open();
    await verified();
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    await page.route('**/tile/entries/003', async (route) => {
      await held;
      await route.continue();
    });
    await button('Verify the whole log').focus();
    await page.keyboard.press('Enter');
    await page.getByText('768 of 1,500 entries').waitFor();
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    await button('Pause').click();
    await page.getByText('768 of 1,500 entries, paused').waitFor();
    release();
    await button('Continue').click();
    await page.getByText('All 1,500 entries of the checkpoint were verified in this browser').waitFor();
    await expectAccessible(page);
    await open();
    await page.getByText('All 1,500 entries of the checkpoint were verified in this browser').waitFor();
    expectNoComplaints(page);
  });

  it('ends a verification that is cancelled, or whose page is left', async () => {
    await open();
    await verified();
    const held: Route[] = [];
    await page.route('**/tile/entries/*', (route) => void held.push(route));
    const aborted: string[] = [];
    page.on('requestfailed', (request) => aborted.push(request.url()));
    await button('Verify the whole log').click();
    await until(() => expect(held).toHaveLength(4));
    await button('Cancel').click();
    await page.getByText('This browser has not verified the whole log yet').waitFor();
    await until(() => expect(aborted).toHaveLength(4));
    await button('Verify the whole log').click();
    await until(() => expect(held).toHaveLength(8));
    await page.getByRole('link', { name: 'Audit log' }).click();
    await until(() => expect(aborted).toHaveLength(8));
    page.removeAllListeners('requestfailed');
    await expectFewWorkers();
  });

  const expectFewWorkers = () => until(() => expect(page.workers()).toEqual([]));

  it.each([0, 1_234, SIZE - 1])('turns red if the entry %s was changed, and names it', async (index) => {
    await tamper(new RegExp(`/tile/entries/${String(Math.floor(index / 256)).padStart(3, '0')}`), (body) =>
      flipped(body, body.lastIndexOf(`"path":"/things/${index}"`) + 9),
    );
    await open();
    await verified();
    await button('Verify the whole log').click();
    await expectRed(`The entry of leaf ${index} was changed`);
    await page.getByRole('link', { name: `Show event ${index.toLocaleString('en')}` }).waitFor();
    await page.unrouteAll();
    await open();
    await expectRed(`The entry of leaf ${index} was changed`);
    await button('Verify the whole log').click();
    await verified();
    expectNoComplaints(page);
  });

  it('turns red if entries are missing', async () => {
    await tamper(/\/tile\/entries\/003$/, (body) => body.subarray(0, body.lastIndexOf('{"specversion"') - 2));
    await open();
    await button('Verify the whole log').click();
    await expectRed('The entry of leaf 1023 is missing');
    await expectAccessible(page);
  });

  it('turns an event red that is shown otherwise than it was signed', async () => {
    await tamper(/\/api\/v1\/audit\/export/, (body) => Buffer.from(body.toString().replace('Acme', 'Acne')));
    await openEvent(0);
    await expectRed('This event is not as it was signed');
    await expectRed('The event that this page shows is not the one that was signed');
    await expectAccessible(page);
    await page.unrouteAll();
    await openEvent(0);
    await drawer().getByText('Leaf 0 of the checkpoint of').waitFor();
  });

  it('turns an event red if one byte of its proof was changed, or if the receipt is of another', async () => {
    await openEvent(41);
    await drawer().getByText('Leaf 41 of the checkpoint of').waitFor();
    const receipt = await text(
      ada.client.audit.receipt({ params: { leaf_index: 42 }, query: { organization_id: team } }),
    );
    await tamper(/\/events\/43\/receipt/, (body) => {
      const proof = body.toString().split('\n')[4]!;
      const other = proof.startsWith('A') ? 'B' : 'A';
      return body.toString().replace(proof, other + proof.slice(1));
    });
    await tamper(/\/events\/44\/receipt/, () => receipt);
    await moveToEvent(43);
    await expectRed('The inclusion proof of leaf 43 is wrong');
    await moveToEvent(44);
    await expectRed('The receipt is of the event 42, not of 44');
    await moveToEvent(45);
    await drawer().getByText('Leaf 45 of the checkpoint of').waitFor();
  });

  it('turns red if the checkpoint was changed, stays red, and is forgotten only by a person', async () => {
    await open();
    await verified();
    await tamper(/\/checkpoint$/, (body) => body.toString().replace('\n1500\n', '\n1501\n'));
    await open();
    await expectRed(/The signature of .* is wrong/);
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    await page.unrouteAll();
    await open();
    await expectRed('The log does not continue what this browser verified');
    expect(await button('Verify the whole log').isDisabled()).toBe(true);
    const evidence = await downloaded('Download both checkpoints');
    for (const size of [1500, 1501]) expect(evidence).toContain(`\n${size}\n`);
    await openEvent(41);
    await expectRed('The log does not continue what this browser verified');
    await open();
    await button('Verify again').click();
    await verified();
    await tamper(/\/checkpoint$/, (body) => body.toString().replace('\n1500\n', '\n1501\n'));
    await open();
    await button('Verify again').click();
    await expectRed(/The signature of .* is wrong/);
    await page.unrouteAll();
    await button('Forget what this browser remembers…').click();
    await page.getByRole('dialog', { name: 'Forget what this browser remembers' }).waitFor();
    await expectAccessible(page);
    await button('Forget').click();
    await verified();
    expectNoComplaints(page);
  });

  it('turns red if the end of the log was cut off', async () => {
    const { id } = await ada.client.organizations.create({ body: { name: 'Shrinking' } });
    await allIngested(dashboard);
    await fill(id, 300);
    const earlier = await text(ada.client.audit.checkpoint({ params: { id } }));
    await fill(id, 400);
    await open(id);
    await verified();
    await tamper(/\/checkpoint$/, () => earlier);
    await open(id);
    await expectRed('The log had 400 leaves and now has 300: its end was cut off.');
  });

  it('turns red if a byte of the consistency proof was changed', async () => {
    const { id } = await ada.client.organizations.create({ body: { name: 'Growing' } });
    await allIngested(dashboard);
    await fill(id, 300);
    await open(id);
    await verified();
    await fill(id, 400);
    await tamper(/\/audit\/consistency/, (body) => body.toString().replace(/"proof":\["./, '"proof":["-'));
    await open(id);
    await expectRed('The consistency proof is malformed.');
    await page.evaluate('localStorage.clear()');
    await page.unrouteAll();
    await open(id);
    await verified();
    await fill(id, 500);
    await tamper(/\/audit\/consistency/, (body) => {
      const response = JSON.parse(body.toString()) as { proof: string[] };
      return JSON.stringify({ ...response, proof: response.proof.with(0, response.proof.at(-1)!) });
    });
    await open(id);
    await expectRed('The log of 500 leaves does not continue the log of 400: it was changed.');
  });

  const leavesOf = (count: number, changed?: number) =>
    Array.from({ length: count }, (_, n) => leafHashOf(Uint8Array.of(n, n === changed ? 1 : 0)));

  /** Puts a server that can sign anything in the place of ours. */
  async function pretend(signer: NoteSigner, leaves: readonly Uint8Array[]): Promise<void> {
    const { name: origin } = signer.key;
    const note = signCheckpoint({ origin, size: leaves.length, root: treeHash(leaves) }, [signer]);
    await page.unrouteAll();
    await page.route(/\/checkpoint$/, (route) => route.fulfill({ body: note }));
    await page.route(/\/vkey$/, (route) => route.fulfill({ body: `${formatVkey(signer.key)}\n` }));
    await page.route(/\/audit\/consistency/, (route) => {
      const { searchParams } = new URL(route.request().url());
      const [from, to] = ['from', 'to'].map((name) => Number(searchParams.get(name))) as [number, number];
      const base64 = (hash: Uint8Array) => Buffer.from(hash).toString('base64');
      const proof = consistencyPath(from, leaves.slice(0, to)).map(base64);
      const root = base64(treeHash(leaves));
      return route.fulfill({ json: { from, from_root: root, to, to_root: root, proof } });
    });
  }

  it('turns red if the log forks, although every signature and the proof of the fork are right', async () => {
    const signer = noteSigner(`example.com/${team}`);
    await pretend(signer, leavesOf(5));
    await open();
    await verified();
    await pretend(signer, leavesOf(9));
    await open();
    await page.getByText('The checkpoint of 9 entries').waitFor();
    await pretend(signer, leavesOf(12, 7));
    await open();
    await expectRed('The log of 12 leaves does not continue the log of 9: it was changed.');
    expect(await button('Accept the new key…').count()).toBe(0);
    const evidence = await downloaded('Download both checkpoints');
    for (const size of [9, 12]) expect(evidence).toContain(`\n${size}\n`);
  });

  it('stays green if the remembered key handed over to the one that signs now', async () => {
    const { id } = await ada.client.organizations.create({ body: { name: 'Rotating' } });
    const [first, second] = [noteSigner(`example.com/${id}`), noteSigner(`example.com/${id}`, 2)];
    const vkey = formatVkey(second.key);
    const data = { epoch: 1, vkey, note: signRotation(second.key, first) };
    await put(dashboard, id, [event(id, { type: 'audit_log.key_rotated', subject: id, data })]);
    await allIngested(dashboard);
    await pretend(first, leavesOf(5));
    await open(id);
    await verified();
    await pretend(second, leavesOf(9));
    await open(id);
    await page.getByText('The checkpoint of 9 entries').waitFor();
    await page.getByText(vkey, { exact: true }).waitFor();
    expect(await alert().count()).toBe(0);
  });

  it('turns red if a new epoch begins, until a person accepts it', async () => {
    await pretend(noteSigner(`example.com/1/${team}`), leavesOf(5));
    await open();
    await verified();
    await pretend(noteSigner(`example.com/2/${team}`, 2), leavesOf(3));
    await open();
    await expectRed(`The log is now example.com/2/${team}, and was example.com/1/${team}`);
    await expectAccessible(page);
    await button('Accept the new key…').click();
    await page.getByRole('dialog', { name: 'Accept the new key' }).waitFor();
    await expectAccessible(page);
    await button('Accept').click();
    await page.getByText('The checkpoint of 3 entries').waitFor();
    await pretend(noteSigner(`example.com/2/${team}`, 2), leavesOf(6));
    await open();
    await page.getByText('The checkpoint of 6 entries').waitFor();
  });

  it('turns red if what the browser remembers cannot be read', async () => {
    await page.evaluate(`localStorage.setItem('keyledger-integrity-${team}', '{}')`);
    await open();
    await expectRed('What this browser remembered cannot be read');
  });

  it('is not red if no checkpoint can be signed, and names the way out', async () => {
    const { anchorFile } = dashboard.database;
    await rename(anchorFile, `${anchorFile}.kept`);
    try {
      await open();
      await page.getByText('No checkpoint can be signed now').waitFor();
      await page
        .getByText(/keyledger audit new-epoch|restore/i)
        .first()
        .waitFor();
      await expectAccessible(page);
      await openEvent(41);
      await drawer().getByText('Not verified: no checkpoint can be signed now').waitFor();
      expect(await alert().count()).toBe(0);
    } finally {
      await rename(`${anchorFile}.kept`, anchorFile);
    }
    await button('Verify again').click();
    await drawer().getByText('Leaf 41 of the checkpoint of').waitFor();
    expectNoComplaints(page, /status of 503/);
  });

  it('says of entries whose retention has ended that they are no longer kept, and verifies the others', async () => {
    const { id } = await ada.client.organizations.create({ body: { name: 'Pruned' } });
    await allIngested(dashboard);
    await fill(id, 1_000);
    const operator = await dashboard.operator();
    await operator.client.deployment.setAuditRetention({ params: { id }, body: { days: 30 } });
    await open(id);
    await verified();
    await setAuditTime(dashboard.sql, new Date(Date.now() + 100 * 86_400_000));
    // The first round records the state of the organization, and the second one prunes what is before.
    for (let round = 0; round < 2; round++) {
      await runAuditUpkeep(dashboard.database);
      await allIngested(dashboard);
    }
    expect(await ada.client.audit.getRetention({ params: { id } })).toMatchObject({ pruned_below: 768 });
    await open(id);
    await verified();
    await button('Verify the whole log').click();
    await page.getByText(/The entries 768 to [\d,]+ of the checkpoint were verified in this browser/).waitFor();
    await page.getByText('The 768 entries before are no longer kept').waitFor();
    await expectAccessible(page);
    for (const index of [0, 767]) {
      await moveTo(page, `/org/${id}/audit?event=${index}`);
      await drawer().getByText(`Event ${index} is no longer kept`).waitFor();
    }
    await moveTo(page, `/org/${id}/audit?event=768`);
    await drawer().getByText('Leaf 768 of the checkpoint of').waitFor();
    expect(await alert().count()).toBe(0);
    await page.unrouteAll();
    // The test below signs in to the same page.
    await expectCleanEnd(page, /status of 503/);
  });

  it('is open to an auditor, and tells a viewer why it is not', async () => {
    const join = async (role: 'auditor' | 'viewer') => {
      const { token } = await ada.client.invitations.create({ params: { id: team }, body: { role } });
      return dashboard.signedIn(await dashboard.account(token), `/org/${team}/integrity`);
    };
    const auditor = await join('auditor');
    await verified(auditor);
    await auditor.getByRole('link', { name: 'Integrity' }).waitFor();
    await expectCleanEnd(auditor);
    const viewer = await join('viewer');
    await viewer.getByRole('heading', { name: 'Your role cannot read the audit log' }).waitFor();
    expect(await viewer.getByRole('link', { name: 'Integrity' }).count()).toBe(0);
    await expectCleanEnd(viewer);
  });
});
