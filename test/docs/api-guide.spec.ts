import { execFile } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { createApiKey, listApiKeys } from '#libs/contract/api-keys.js';
import { Verification, VerificationCode } from '#libs/contract/verification.js';
import { AuditEvent, exportAuditEvents, listAuditEvents, tailAuditEvents } from '#libs/contract/audit.js';
import { getBalance, grantCredits, listGrants } from '#libs/contract/credits.js';
import { DomainEvent } from '#libs/contract/events.js';
import { bodyWhenRepeated } from '#libs/contract/idempotency.js';
import { problemsOf } from '#libs/contract/openapi.js';
import { Problem, problems, type ProblemCode } from '#libs/contract/problem.js';
import { pathTemplate, type Route } from '#libs/contract/route.js';
import { allRoutes } from '#libs/contract/routes.js';
import { builtInScopes } from '#libs/contract/scopes.js';
import { getOrganizationUsage } from '#libs/contract/usage.js';
import { startDeployment, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { firstTable } from '../support/markdown-table.js';
import { dialectRoutes } from '../support/route-table.js';
import { builtModule } from '../support/built-module.js';

const { newOperatorLink } = await builtModule<typeof import('../../apps/cli/operator-link.js')>(
  '../../apps/cli/operator-link.js',
);

/**
 * The guide is one script. The test runs it as printed, except for the address and the set-up token, and compares every
 * response with the guide: with the code in the comment above a call or, without one, with the success that the
 * contract promises.
 */
const run = promisify(execFile);
const root = new URL('../../', import.meta.url);
const PUBLIC_URL = 'http://keyledger.test';
const table = allRoutes().map(({ name, route }) => ({ name, route, operation: operationOf(route) }));
const ofDialects = dialectRoutes.map(({ route }) => operationOf(route));
const api = table.filter(({ route }) => route.path.startsWith('/api/v1/'));

/** The notation of the guide. */
function operationOf({ method, path }: Route): string {
  return `${method} ${pathTemplate(path)}`;
}

let guide: string;
let calls: Call[];

interface Call {
  readonly status: number;
  readonly route: Route;
  readonly name: string;
  /** Lower case; present where the call asked curl for them. */
  readonly headers: ReadonlyMap<string, string>;
  /** The text of a stream, otherwise parsed JSON. */
  readonly body: unknown;
}

beforeAll(async () => {
  guide = await readGuide();
  calls = await callsOf(guide);
});

/** The pages, in the order in which the index lists them: together they are one script. */
async function readGuide(): Promise<string> {
  const index = await readFile(new URL('docs/api.md', root), 'utf8');
  const pages = Array.from(index.matchAll(/^\| \[[^\]]*\]\((api\/[\w-]+\.md)\)/gm), ([, page]) => page!);
  const files = (await readdir(new URL('docs/api', root))).map((name) => `api/${name}`);
  expect(pages.toSorted()).toEqual(files.toSorted());
  const texts = await Promise.all(pages.map((page) => readFile(new URL(`docs/${page}`, root), 'utf8')));
  return [index, ...texts].join('\n');
}

/**
 * Makes every call of curl write its outcome and its response to files, and connect to the deployment. Only a response
 * that the script reads is printed. A pause lasts until all that has happened is in the audit log.
 */
const RECORDER = `
  exec >/dev/null
  curl() {
    local file code=0 made=("$CALLS"/*.outcome)
    [ -e "\${made[0]}" ] || made=()
    printf -v file %s/%04d "$CALLS" "\${#made[@]}"
    : >"$file.response"
    command curl --noproxy '*' --connect-to "$CONNECT_TO" -w '%{stderr}%{http_code} %{method} %{url}\\n' \\
      "$@" -o "$file.response" 2>"$file.outcome" || code=$?
    [ ! -p /dev/stdout ] || cat "$file.response"
    return $code
  }
  sleep() {
    : >"$CALLS/asleep"
    while [ -e "$CALLS/asleep" ]; do command sleep 0.02; done
  }
`;

async function callsOf(guide: string): Promise<Call[]> {
  const directory = await mkdtemp(join(tmpdir(), 'keyledger-guide-'));
  const deployment: Deployment = await startDeployment({ env: { PUBLIC_URL } });
  try {
    const { token } = await newOperatorLink(deployment.database.apiUrl, PUBLIC_URL, null);
    const script = scriptOf(guide)
      .replace(/^BASE=.*$/m, `BASE=${PUBLIC_URL}`)
      .replace(/^SETUP_TOKEN=.*$/m, `SETUP_TOKEN=${token}`);
    const { port } = new URL(deployment.url);
    const ran = run('bash', ['-euo', 'pipefail', '-c', RECORDER + script], {
      env: { ...process.env, CALLS: directory, TMPDIR: directory, CONNECT_TO: `keyledger.test:80:127.0.0.1:${port}` },
    });
    const ended = new AbortController();
    await Promise.all([ran.finally(() => ended.abort()), wakeUp(deployment, join(directory, 'asleep'), ended.signal)]);
    const names = (await readdir(directory)).filter((name) => name.endsWith('.outcome')).toSorted();
    return await Promise.all(names.map((name) => readCall(join(directory, name.slice(0, -'.outcome'.length)))));
  } finally {
    await deployment.stop();
    await rm(directory, { recursive: true });
  }
}

/** Ends each pause of the script when all events are ingested. */
async function wakeUp(deployment: Deployment, asleep: string, ended: AbortSignal): Promise<void> {
  for (; !ended.aborted; await sleep(20)) {
    if (!existsSync(asleep)) continue;
    await allIngested(deployment);
    rmSync(asleep);
  }
}

function scriptOf(guide: string): string {
  return [...guide.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block).join('\n');
}

async function readCall(file: string): Promise<Call> {
  const [status, method, url] = (await readFile(`${file}.outcome`, 'utf8')).trim().split(' ');
  const response = await readFile(`${file}.response`, 'utf8');
  const [head, ...rest] = response.startsWith('HTTP/') ? response.split('\r\n\r\n') : ['', response];
  const body = rest.join('\r\n\r\n');
  const { name, route } = routeOf(method!, new URL(url!).pathname);
  const isStream = route.success.stream !== undefined && Number(status) < 400;
  return {
    status: Number(status),
    name,
    route,
    headers: new Map(
      [...head!.matchAll(/^([\w-]+): (.*)$/gm)].map(([, name, value]) => [name!.toLowerCase(), value!.trim()]),
    ),
    body: body === '' ? undefined : isStream ? body : JSON.parse(body),
  };
}

/** A literal path wins over one with a parameter in the same place, as in `/api-keys/verify`. */
function routeOf(method: string, pathname: string): { name: string; route: Route } {
  const literalFirst = table.toSorted(
    (a, b) => Number(a.route.path.includes(':')) - Number(b.route.path.includes(':')),
  );
  const found = literalFirst.find(
    ({ route }) =>
      route.method === method &&
      new RegExp(`^${route.path.replace(/:\w+/g, '[^/]+').replace(/\*\w+/, '.+')}$`).test(pathname),
  );
  if (!found) throw new Error(`The contract has no ${method} ${pathname}`);
  return found;
}

/** The status and code that the comment above each call announces, in order; undefined without such a comment. */
function announced(guide: string): (string | undefined)[] {
  const lines = scriptOf(guide).split('\n');
  return lines.flatMap((line, index) =>
    /^[^#]*\bcurl\b/.test(line) ? [/^# (\d{3} [a-z_]+)\b/.exec(lines[index - 1] ?? '')?.[1]] : [],
  );
}

/** The outcome that the guide leads a reader to expect of each call. */
function expectedOf(guide: string): string[] {
  const says = announced(guide);
  return calls.map(({ name, route }, index) => {
    const success = name === 'apiKeys.verify' ? `${route.success.status} valid` : String(route.success.status);
    return `${index} ${name} ${says[index] ?? success}`;
  });
}

function outcomes(): string[] {
  return calls.map(({ name, status, body }, index) => {
    const code = status >= 400 || name === 'apiKeys.verify' ? ` ${(body as { code: string }).code}` : '';
    return `${index} ${name} ${status}${code}`;
  });
}

describe('the script of the API guide', () => {
  it('gets the documented response from every call', () => {
    expect(outcomes()).toEqual(expectedOf(guide));
    expect(announced(guide)).toHaveLength(calls.length);
  });

  it('fails for an undocumented response, a missing one, and another code', () => {
    for (const wrong of [
      guide.replace('\n# 409 conflict', '\n#'),
      guide.replace('\n# 409 conflict', '\n# 404 not_found'),
      guide.replace('\n# 200 disabled', '\n# 200 expired'),
      guide.replace(/^curl -s \$BASE\/api\/v1\/whoami -H "\$AUTH"$/m, '# 401 unauthenticated\n$&'),
    ]) {
      expect(wrong).not.toBe(guide);
      expect(outcomes()).not.toEqual(expectedOf(wrong));
    }
  });

  it('gets responses that match the contract, with declared problems only', () => {
    for (const { name, route, status, headers, body } of calls) {
      if (status >= 400) {
        const { code } = Problem.parse(body);
        expect([name, problemsOf(route)]).toEqual([name, expect.arrayContaining([code])]);
      } else {
        const schema = headers.has('idempotent-replayed') ? bodyWhenRepeated(route) : route.success.body;
        expect([name, schema?.safeParse(body).error]).toEqual([name, undefined]);
      }
    }
  });

  it('makes every call of the API', () => {
    const made = new Set(calls.filter(({ status }) => status < 400).map(({ name }) => name));
    expect(api.map(({ name }) => name).filter((name) => !made.has(name))).toEqual([]);
  });

  it('shows a repeated call, a next page and a challenge where the guide has them', () => {
    const [first, again] = calls.filter(
      ({ name, body }) => name === 'apiKeys.create' && (body as { name?: string }).name === 'Second key',
    );
    const { key, ...shown } = first!.body as { key: string };
    expect(key).toMatch(/^sk_test_/);
    expect(again!.body).toEqual(shown);
    expect(again!.headers.get('idempotent-replayed')).toBe('true');

    const pages = calls.filter(({ name, status }) => name === 'apiKeys.list' && status === 200);
    const { data, next_cursor: cursor } = pages[0]!.body as { data: { id: string }[]; next_cursor: string };
    expect(pages[0]!.headers.get('link')).toBe(
      `<${PUBLIC_URL}/api/v1/api-keys?limit=1&sort=created_at&cursor=${cursor}>; rel="next"`,
    );
    expect((pages[2]!.body as { data: { id: string }[] }).data[0]!.id).not.toBe(data[0]!.id);

    const refused = calls.find(({ name, status }) => name === 'apiKeys.list' && status === 403);
    expect(refused!.headers.get('www-authenticate')).toContain('scope="api-keys:read"');
  });

  it('finds the documented events in the audit log', () => {
    const auditLogs = calls
      .filter(({ name, status }) => name === 'audit.listEvents' && status === 200)
      .map(({ body }) => (body as { data: { event: { type: string } }[] }).data.map(({ event }) => event.type));
    const [
      ofKey,
      denials,
      personal,
      ofPage,
      ofNetwork,
      exceptUses,
      byClient,
      byActor,
      following,
      first,
      second,
      firstAgain,
      reads,
      deployment,
      credits,
    ] = auditLogs;
    expect(ofPage).toEqual(['api_key.denied', 'api_key.denied']);
    expect(ofNetwork).toEqual(['api_key.used']);
    expect(exceptUses).toEqual(expect.arrayContaining(['api_key.created', 'api_key.denied']));
    expect(exceptUses).not.toContain('api_key.used');
    expect(byClient).toContain('api_key.created');
    expect(new Set(byActor)).toEqual(
      new Set(['invitation.created', 'invitation.revoked', 'member.role_changed', 'member.removed']),
    );
    expect(following).toEqual(['api_key.created']);
    expect(firstAgain).toEqual(first);
    expect(second).toHaveLength(2);
    expect(credits).toEqual(['credits.granted', 'credits.low', 'credits.removed']);
    expect(ofKey!.slice(0, 2)).toEqual(['api_key.created', 'api_key.used']);
    expect(ofKey).toEqual(expect.arrayContaining(['api_key.updated', 'api_key.rotated', 'api_key.disabled']));
    // The key is revoked, rejected, deleted, rejected.
    expect(ofKey!.slice(-4)).toEqual(['api_key.revoked', 'api_key.denied', 'api_key.revoked', 'api_key.denied']);
    expect(new Set(denials)).toEqual(new Set(['api_key.denied']));
    expect(personal).toEqual(expect.arrayContaining(['user.registered', 'user.password_changed', 'user.login_failed']));
    expect(reads).toEqual(['operator.read']);
    expect(deployment).toEqual(
      expect.arrayContaining([
        'user.operator_added',
        'operator.read',
        'organization.suspended',
        'organization.updated',
        'user.password_reset_requested',
        'user.operator_removed',
      ]),
    );
  });

  it('downloads the audit log and follows it', () => {
    const streams = calls.filter(({ route, status }) => route.success.stream && status === 200);
    const [lines, csv, tail] = streams.map(({ body }) => body as string);
    for (const line of lines!.trimEnd().split('\n')) AuditEvent.parse(JSON.parse(line));
    const [header, ...rows] = csv!.trimEnd().split('\r\n');
    expect(guide.replaceAll(/\s+/g, ' ')).toContain(
      header!
        .replaceAll(/\w+/g, '`$&`')
        .replaceAll(',', ', ')
        .replace(/, (`\w+`)$/, ' and $1'),
    );
    expect(rows).not.toEqual([]);
    const [, id, data] = /^id: (\d+)\nevent: audit\ndata: (.*)\n\n/m.exec(tail!)!;
    expect(AuditEvent.parse(JSON.parse(data!)).leaf_index).toBe(Number(id));
  });

  it('has the documented usage counts and charges', () => {
    const responsesOf = (wanted: string) =>
      calls.filter(({ name, status }) => name === wanted && status === 200).map(({ body }) => body);
    expect(responsesOf('usage.ofApiKey')).toMatchObject([
      { data: expect.arrayContaining([expect.objectContaining({ group: 'GET /events/:id', uses: 1, denials: 1 })]) },
    ]);
    expect(responsesOf('credits.get')).toEqual([
      { metered: false, balance: null, low_below: null },
      { metered: true, balance: 2, low_below: 5 },
    ]);
  });

  it('shows which responses a page of another origin may read', () => {
    const shown = calls.find(({ name, headers }) => name === 'auth.whoami' && headers.size > 0);
    expect(shown!.headers.get('access-control-allow-origin')).toBe('https://shop.example.com');
    for (const name of shown!.headers.get('access-control-expose-headers')!.split(', ')) {
      expect(guide.toLowerCase()).toContain(`\`${name}\``);
    }
  });

  it('shows how many keys are revoked with a member and with a project', () => {
    const revoked = (wanted: string) =>
      calls.filter(({ name, status }) => name === wanted && status === 200).map(({ body }) => body);
    expect(revoked('members.remove')).toEqual([{ revoked_api_keys: 1 }]);
    expect(revoked('projects.delete')).toEqual([{ revoked_api_keys: 1 }]);
  });

  it('needs nothing but bash, curl, sed and grep', () => {
    expect(scriptOf(guide)).not.toMatch(/\b(jq|python3?|node|npm|perl|awk)\b/);
  });
});

describe('the text of the API guide', () => {
  it('mentions every operation of the API', () => {
    const operations = [...api.map(({ operation }) => operation), ...ofDialects];
    expect(operations.filter((operation) => !guide.includes(`\`${operation}\``))).toEqual([]);
  });

  it('mentions no operation that does not exist', () => {
    const known = new Set([...table.map(({ operation }) => operation), ...ofDialects]);
    const mentioned = [...guide.matchAll(/`((?:GET|POST|PATCH|PUT|DELETE) \/[^`\s]*)`/g)].map(([, text]) => text!);
    expect(mentioned.length).toBeGreaterThanOrEqual(api.length);
    expect(mentioned.filter((operation) => !known.has(operation))).toEqual([]);
  });

  it('has the verification codes in the order of their checks, each with its status', () => {
    const rows = rowsAfter('## Codes of a verification');
    const told = rows.map(([code, status]) => `${codesIn(code!).join()} ${status}`);
    const statusOf = (code: VerificationCode) => (code === 'valid' ? 200 : problems[code satisfies ProblemCode].status);
    expect(told).toEqual(VerificationCode.options.map((code) => `${code} ${statusOf(code)}`));
  });

  it('has every problem code under its status, and no other', () => {
    const rows = rowsAfter('## Problem codes');
    const told = rows.flatMap(([status, text]) =>
      codesIn(text!)
        .filter((word) => word in problems)
        .map((code) => `${code} ${status}`),
    );
    const known = Object.entries(problems).map(([code, { status }]) => `${code} ${status}`);
    expect(told.toSorted()).toEqual(known.toSorted());
  });

  it('names every field of a key, every scope that is built in, and every type of event', () => {
    const fields = Object.keys(createApiKey.success.body.shape);
    const told = rowsAfter('## Fields of a new key').flatMap(([field]) => codesIn(field!));
    expect(told.toSorted()).toEqual(Object.keys(createApiKey.body.shape).toSorted());
    const types = DomainEvent.options.map((option) => option.shape.type.value);
    const words = [...fields, ...Object.keys(builtInScopes), ...types];
    expect(words.filter((word) => !guide.includes(`\`${word}\``))).toEqual([]);
  });

  it.each([listAuditEvents, exportAuditEvents, tailAuditEvents, getOrganizationUsage, listApiKeys])(
    'names every parameter of $path',
    ({ query }) => {
      // The guide names the opposites of the filters together.
      const names = Object.keys(query.shape).map((name) => name.replace(/^not_.+/, 'not_…'));
      expect(names.filter((name) => !guide.includes(`\`${name}\``))).toEqual([]);
    },
  );

  it('names every field of usage, of a balance and of a grant', () => {
    const rows = [getOrganizationUsage.success.body.shape.data, listGrants.success.body.shape.data];
    const fields = [
      ...Object.keys(getOrganizationUsage.success.body.shape),
      ...rows.flatMap((row) => Object.keys(row.unwrap().shape)),
      ...Object.keys(getBalance.success.body.shape),
      ...Object.keys(grantCredits.body.shape),
    ];
    expect(fields.filter((field) => !guide.includes(`\`${field}\``))).toEqual([]);
  });

  it('shows a verification response and an event that match the contract', () => {
    const [problem, verification, entry] = [...guide.matchAll(/^```json\n(.*?)^```$/gms)].map(
      ([, text]) => JSON.parse(text!) as unknown,
    );
    expect(Problem.parse(problem)).toEqual(problem);
    expect(Verification.parse(verification)).toEqual(verification);
    expect(AuditEvent.parse(entry)).toEqual(entry);
    const { event } = entry as AuditEvent;
    expect(DomainEvent.parse(event)).toEqual(event);
  });
});

/** The rows of the first table after a text. */
function rowsAfter(text: string): string[][] {
  const start = guide.indexOf(text);
  expect(start).toBeGreaterThan(-1);
  return firstTable(guide.slice(start));
}

function codesIn(cell: string): string[] {
  return [...cell.matchAll(/`([a-z_]+)`/g)].map(([, code]) => code!);
}

it('every heading that a document links to exists', async () => {
  const inDocs = (await readdir(new URL('docs', root), { recursive: true })).map((name) => `docs/${name}`);
  const documents = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...inDocs.filter((name) => name.endsWith('.md'))];
  for (const document of documents) {
    const text = await readFile(new URL(document, root), 'utf8');
    for (const [link, file, heading] of text.matchAll(/\]\((?!https?:)([^)#]*)#([^)]+)\)/g)) {
      const target = file ? new URL(file, new URL(document, root)) : new URL(document, root);
      expect({ document, link, headings: headingsOf(await readFile(target, 'utf8')) }).toEqual({
        document,
        link,
        headings: expect.arrayContaining([heading]),
      });
    }
  }
});

/** Anchors of headings, as the repository's host creates them. */
function headingsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}
