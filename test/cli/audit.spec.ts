import { once } from 'node:events';
import { readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { outcomeOf, Shell, type Outcome } from './command.js';

let deployment: Deployment;
let ada: Account;
let shell: Shell;
let key: { readonly id: string; readonly key: string };
/** The ids for which these words stand in arguments. */
let ids: Record<string, string>;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
  shell = await Shell.open();
  await shell.signIn(deployment.url, ada);
  key = await ada.client.apiKeys.create({ body: { name: 'Observed', scopes: ['triggers:read'] } });
  const { headers } = await use();
  await ada.client.apiKeys.disable({ params: { id: key.id } });
  await use();
  await ada.client.apiKeys.enable({ params: { id: key.id } });
  const project = await ada.client.projects.create({ body: { name: 'Shop' } });
  await ada.client.projects.update({ params: { id: project.id }, body: { name: 'Store' } });
  const { data: secrets } = await ada.client.apiKeys.listSecrets({ params: { id: key.id } });
  ids = { KEY: key.id, SECRET: secrets[0]!.id, PROJECT: project.id, REQUEST: headers.get('x-request-id')! };
  await eventually(
    () => ada.client.audit.listEvents({ query: { limit: 100 } }),
    ({ data }) =>
      data.filter(({ event }) => event.subject === key.id).length === 5 &&
      data.some(({ event }) => event.type === 'project.updated'),
  );
});

afterAll(async () => {
  await shell.close();
  await deployment.stop();
});

const use = () => fetch(`${deployment.url}/api/v1/whoami`, { headers: { 'X-API-Key': key.key } });
const jsonLines = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { leaf_index: number; event: { type: string; subject: string } });

describe('keyledger audit list', () => {
  it('prints a table, or with --json the response of the API', async () => {
    const { stdout } = await shell.run(['audit', 'list', '--key', key.id, '--oldest-first']);
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^TIME {17}ACTOR +TYPE +SUBJECT +WHAT +IP +INDEX +SUBJECT ID$/);
    expect(lines[1]).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}Ada Lovelace {2}api_key\.created {3}Observed {2}.* 127.* key_\w+$/,
    );
    // Only changes keep their order: uses follow the clock of the API process, which may be ahead.
    expect(stdout).toMatch(/ Observed +api_key\.used +Observed +GET \/api\/v1\/whoami +127.* key_\w+$/m);
    expect(stdout).toMatch(/ api_key\.denied .* disabled GET \/api\/v1\/whoami +/);
    const { stderr } = await shell.run(['audit', 'list', '--limit', '1']);
    expect(stderr).toBe('There are more events; --all shows all.\n');
    const document = JSON.parse((await shell.run(['audit', 'list', '--json', '--limit', '2'])).stdout) as unknown;
    expect(document).toEqual(await ada.client.audit.listEvents({ query: { limit: 2 } }));
  });

  it.each([
    [['--type', 'api_key.*,user.registered', '--limit', '100'], 6],
    [['--outcome', 'disabled'], 1],
    [['--key', 'KEY', '--path', '/api/v1/who'], 2],
    [['--key', 'KEY', '--ip', '127.0.0.0/8'], 5],
    [['--subject', 'KEY', '--type', 'api_key.created'], 1],
    [['--actor', 'KEY'], 2],
    [['--key', 'KEY', '--from', '1h'], 5],
    [['--key', 'KEY', '--to', '2000-01-01'], 0],
    [['--key', 'KEY', '--all'], 5],
    [['--secret', 'SECRET'], 2],
    [['--project', 'PROJECT'], 2],
    [['--request-id', 'REQUEST'], 1],
    [['--key', 'KEY', '--user-agent', 'no such client'], 0],
    [['--search', '/API/V1/who', '--key', 'KEY'], 2],
    [['--key', 'KEY', '--not-type', 'api_key.created,api_key.denied'], 3],
    [['--key', 'KEY', '--not-outcome', 'valid', '--not-request-id', 'REQUEST'], 4],
    [['--not-key', 'KEY', '--not-project', 'PROJECT', '--type', 'api_key.*'], 0],
  ])('%j', async (args, count) => {
    const { stdout } = await shell.run(['audit', 'list', '--json', ...args.map((arg) => ids[arg] ?? arg)]);
    expect((JSON.parse(stdout) as { data: unknown[] }).data).toHaveLength(count);
  });
});

describe('keyledger audit export', () => {
  it('writes JSON Lines or CSV to standard output', async () => {
    const { code, stdout, stderr } = await shell.run(['audit', 'export', '--key', key.id]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { data } = await ada.client.audit.listEvents({ query: { key_id: key.id, order: 'asc' } });
    expect(jsonLines(stdout)).toEqual(data);
    const csv = await shell.run(['audit', 'export', '--key', key.id, '--format', 'csv', '--type', 'api_key.created']);
    expect(csv.stdout.trimEnd().split('\r\n')).toHaveLength(2);
  });

  it('writes a file that only the owner can read, and that is either complete or not there', async () => {
    const file = join(shell.home, 'events.jsonl');
    const { code, stdout, stderr } = await shell.run(['audit', 'export', '--output', file]);
    expect({ code, stdout, stderr }).toMatchObject({
      code: 0,
      stdout: '',
      stderr: expect.stringMatching(/^\/.*: \d+\.\d kB\.\n$/),
    });
    expect(jsonLines(await readFile(file, 'utf8')).length).toBeGreaterThan(5);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await readdir(shell.home)).filter((name) => name.startsWith('events'))).toEqual(['events.jsonl']);

    const nowhere = await shell.run(['audit', 'export', '--output', join(shell.home, 'none', 'events')]);
    expect(nowhere).toMatchObject({
      code: 74,
      stderr: expect.stringMatching(/none\/events could not be written \(ENOENT\)/),
    });
    expect((await shell.run(['audit', 'export', '--output', '/dev/null'])).code).toBe(0);
    expect((await stat('/dev/null')).isCharacterDevice()).toBe(true);
  });

  it('follows no symbolic link at the name of the file or beside it', async () => {
    const target = join(shell.home, 'target');
    await writeFile(target, 'precious');
    for (const [name, to] of [
      ['link', target],
      ['dangling', join(shell.home, 'missing')],
    ] as const) {
      await symlink(to, join(shell.home, name));
      const { code, stderr } = await shell.run(['audit', 'export', '--output', join(shell.home, name)]);
      expect({ code, stderr }).toMatchObject({ code: 74, stderr: expect.stringContaining('is a symbolic link') });
    }
    expect(await readFile(target, 'utf8')).toBe('precious');
    expect(await readdir(shell.home)).not.toContain('missing');
  });

  it('leaves no file after a failed export, and says so', async () => {
    const line = Line.to(deployment.url);
    const { key } = await ada.client.apiKeys.create({ body: { name: 'Reader', scopes: ['audit:read'] } });
    const env = { KEYLEDGER_URL: await line.open(), KEYLEDGER_API_KEY: key };
    line.cutAfter(400);
    const { code, stderr } = await shell.run(['audit', 'export', '--output', join(shell.home, 'cut')], { env });
    line.close();
    expect({ code, stderr }).toMatchObject({
      code: 69,
      stderr: expect.stringMatching(/response is incomplete|Keyledger does not respond/),
    });
    expect((await readdir(shell.home)).filter((name) => name.startsWith('cut'))).toEqual([]);
  });
});

describe('keyledger audit tail', () => {
  let ended: Promise<Outcome> | undefined;
  let stop: (() => void) | undefined;

  afterEach(async () => {
    stop?.();
    await ended;
  });

  function tail(args: string[], env: NodeJS.ProcessEnv = {}) {
    const child = shell.start(['audit', 'tail', ...args], env);
    const seen = { text: '', errors: '' };
    ended = outcomeOf(child);
    child.stdout!.on('data', (text: string) => (seen.text += text));
    child.stderr!.on('data', (text: string) => (seen.errors += text));
    stop = () => child.kill('SIGINT');
    const shows = (pattern: RegExp, within = 10_000) =>
      eventually(async () => pattern.test(seen.text), Boolean, within).then((found) =>
        expect({ found, ...seen }).toMatchObject({ found: true }),
      );
    return { child, seen, shows };
  }

  it('shows events since the given one, then new events, and ends with Ctrl-C', async () => {
    const { seen, shows } = tail(['--key', key.id, '--after', '0']);
    await shows(/api_key\.enabled/);
    expect(seen.text).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}api_key\.created {9}key_\w{26} {2}Observed by Ada Lovelace from 127\.0\.0\.1\n/,
    );
    await ada.client.apiKeys.disable({ params: { id: key.id } });
    await shows(/api_key\.disabled[^]*api_key\.disabled/);
    await ada.client.apiKeys.enable({ params: { id: key.id } });
    stop!();
    stop!();
    expect(await ended).toMatchObject({ code: 0, stderr: '' });
  });

  it('with --json prints the text of the server, one line for each event', async () => {
    const { seen, shows } = tail(['--json', '--type', 'api_key.created', '--after', '0']);
    await shows(/\n/);
    const { data } = await ada.client.audit.listEvents({ query: { type: 'api_key.created', order: 'asc' } });
    expect(jsonLines(seen.text)[0]).toEqual(data[0]);
  });

  it('continues after a lost connection: no event is missing or repeated', async () => {
    const { key: apiKey } = await ada.client.apiKeys.create({ body: { name: 'Follower', scopes: ['audit:read'] } });
    const line = Line.to(deployment.url);
    const env = { KEYLEDGER_URL: await line.open(), KEYLEDGER_API_KEY: apiKey };
    const { data: last } = await ada.client.audit.listEvents({ query: { limit: 1 } });
    const after = String(last[0]!.leaf_index);
    const { seen, shows } = tail(['--json', '--type', 'project.created', '--after', after], env);
    const create = (name: string) => ada.client.projects.create({ body: { name } });
    await create('before');
    await shows(/before/);
    line.cut();
    await create('between');
    await shows(/between/);
    await create('after');
    await shows(/after/);
    expect(jsonLines(seen.text).map(({ event }) => event.type)).toEqual(Array(3).fill('project.created'));
    expect(seen.errors).toMatch(/^Reconnecting: The response is incomplete \(/);
    line.close();
  });

  it('ends when its credential ends', async () => {
    const reader = await ada.client.apiKeys.create({ body: { name: 'Ended', scopes: ['audit:read'] } });
    const line = Line.to(deployment.url);
    const { shows } = tail(['--after', '0'], { KEYLEDGER_URL: await line.open(), KEYLEDGER_API_KEY: reader.key });
    await shows(/api_key/);
    await ada.client.apiKeys.revoke({ params: { id: reader.id } });
    line.cut();
    const { code, stderr } = await ended!;
    line.close();
    expect({ code, stderr }).toMatchObject({ code: 77, stderr: expect.stringContaining('(revoked, request req_') });
  });

  it('does not wait for a server that never responded', async () => {
    tail([], { KEYLEDGER_URL: 'http://127.0.0.1:9', KEYLEDGER_API_KEY: 'sk_test_x' });
    expect((await ended!).code).toBe(69);
  });
});

describe('keyledger usage', () => {
  it('prints a table with totals, or with --json the response of the API', async () => {
    // The key has called only Keyledger's own API, so its uses are on the management surface.
    const query = { surface: 'management' as const };
    const counted = () => ada.client.usage.ofApiKey({ params: { id: key.id }, query });
    await eventually(counted, ({ totals }) => totals.denials === 1);
    const { stdout } = await shell.run(['usage', '--key', key.id, '--surface', 'management', '--group-by', 'outcome']);
    expect(stdout).toMatch(
      /^DAY \(UTC\) {3}OUTCOME {3}USES {2}DENIALS {2}CREDITS\n\d{4}-\d\d-\d\d {2}disabled {5}0 {8}1 {8}0\n/,
    );
    expect(stdout).toMatch(/\n\d{4}-\d\d-\d\d {2}valid {8}1 {8}0 +\d+\ntotal +- +1 +1 +\d+\n$/);
    const document = JSON.parse(
      (await shell.run(['usage', '--key', key.id, '--surface', 'management', '--json'])).stdout,
    ) as unknown;
    expect(document).toEqual(await counted());
  });

  it("shows the caller's own organization by default", async () => {
    const organization = { params: { id: ada.organizationId }, query: { group_by: 'api_key' as const } };
    const own = JSON.parse((await shell.run(['usage', '--group-by', 'api_key', '--json'])).stdout) as {
      totals: object;
    };
    expect(own.totals).toEqual((await ada.client.usage.ofOrganization(organization)).totals);
    const reader = await ada.client.apiKeys.create({ body: { name: 'Counter', scopes: ['usage:read'] } });
    const env = { KEYLEDGER_URL: deployment.url, KEYLEDGER_API_KEY: reader.key };
    const byKey = await shell.run(['usage', '--interval', 'hour', '--from', '1h', '--surface', 'management'], { env });
    expect(byKey.stdout).toMatch(/^HOUR +USES {2}DENIALS {2}CREDITS\n\d{4}-\d\d-\d\d \d\d:00 /);
    const named = await shell.run(['usage', '--organization', ada.organizationId, '--to', '2000-01-01']);
    expect(named).toMatchObject({ code: 0, stdout: '', stderr: 'No usage.\n' });
  });

  it('rejects options that cannot be combined', async () => {
    const both = await shell.run(['usage', '--key', key.id, '--organization', ada.organizationId]);
    expect(both).toMatchObject({ code: 64, stderr: expect.stringContaining('cannot be used with') });
    expect((await shell.run(['usage', '--key', key.id, '--group-by', 'api_key'])).code).toBe(64);
  });
});

/** A connection to the server that the test can cut. */
class Line {
  readonly #sockets = new Set<Socket>();
  #limit = Infinity;

  private constructor(
    private readonly server: Server,
    private readonly target: URL,
  ) {}

  static to(url: string): Line {
    const line: Line = new Line(
      createServer((socket) => line.#carry(socket)),
      new URL(url),
    );
    return line;
  }

  async open(): Promise<string> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  cutAfter(bytes: number): void {
    this.#limit = bytes;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.server.close();
    this.cut();
  }

  #carry(near: Socket): void {
    const far = connect(Number(this.target.port), this.target.hostname);
    let carried = 0;
    far.on('data', (chunk) => {
      carried += chunk.length;
      if (carried > this.#limit) near.destroy();
      else near.write(chunk);
    });
    near.pipe(far);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one);
      one
        .on('error', () => undefined)
        .on('close', () => {
          this.#sockets.delete(one);
          other.destroy();
        });
    }
  }
}
