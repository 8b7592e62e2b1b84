import type { StackName } from './start-search.js';

/** Where a snippet runs: in front of the API, or in it. A service asks with a service key of its own. */
type Place = 'gateway' | 'service';

interface Stack {
  readonly label: string;
  readonly place: Place;
  /** Where the snippet is kept, below `docs`. */
  readonly source: string;
  /** The language of the snippet's block in a document. Without it, the snippet is the whole file. */
  readonly block?: string;
  /** What to save the snippet as. */
  readonly file?: string;
  /** What to install and to run. */
  readonly commands: readonly string[];
}

const DEMO_API =
  '# In another terminal, if your API is not running yet:\npython3 -m http.server 8080 --bind 127.0.0.1\n';

/** What a key can be verified with first. The tests run each snippet. */
export const stacks: Readonly<Record<StackName, Stack>> = {
  curl: { label: 'curl', place: 'gateway', source: 'first-request/curl.sh', commands: [] },
  express: {
    label: 'Express',
    place: 'service',
    source: 'first-request/express.mjs',
    file: 'express.mjs',
    commands: ['npm install express', 'node express.mjs'],
  },
  fastify: {
    label: 'Fastify',
    place: 'service',
    source: 'first-request/fastify.mjs',
    file: 'fastify.mjs',
    commands: ['npm install fastify', 'node fastify.mjs'],
  },
  nest: {
    label: 'NestJS',
    place: 'service',
    source: 'first-request/nest.ts',
    file: 'src/main.ts',
    commands: ['npm install @nestjs/platform-fastify', 'npm run start'],
  },
  python: {
    label: 'Python',
    place: 'service',
    source: 'first-request/wsgi.py',
    file: 'wsgi.py',
    commands: ['python3 wsgi.py'],
  },
  go: {
    label: 'Go',
    place: 'service',
    source: 'first-request/main.go',
    file: 'main.go',
    commands: ['go run main.go'],
  },
  nginx: {
    label: 'nginx',
    place: 'gateway',
    source: 'gateways.md',
    block: 'nginx',
    file: '/etc/nginx/conf.d/keyledger.conf',
    commands: [DEMO_API, 'nginx -t && nginx -s reload'],
  },
  caddy: {
    label: 'Caddy',
    place: 'gateway',
    source: 'gateways.md',
    block: 'caddyfile',
    file: 'Caddyfile',
    commands: [DEMO_API, 'caddy run'],
  },
};

export interface Values {
  /** The address of this deployment. */
  readonly url: string;
  /** What the key needs. */
  readonly scope: string;
  /** Where the gateway listens. */
  readonly port: number;
  /** Where the API listens, behind the gateway. */
  readonly upstreamPort: number;
}

/** @param source the text of the stack's source */
export function snippetOf(name: StackName, source: string, values: Values): string {
  const { block } = stacks[name];
  return filled(block ? blockOf(source, block) : source, values).trimEnd();
}

function blockOf(document: string, language: string): string {
  const fence = `\`\`\`${language}\n`;
  const start = document.indexOf(fence) + fence.length;
  if (start < fence.length) throw new Error(`There is no block in ${language}`);
  return document.slice(start, document.indexOf('\n```', start));
}

function filled(text: string, { url, scope, port, upstreamPort }: Values): string {
  const { protocol, host } = new URL(url);
  // A gateway reaches a deployment behind TLS by an inner address, which only its reader knows.
  const inner = protocol === 'http:' ? withPort(host) : '127.0.0.1:3000';
  return text
    .replaceAll('127.0.0.1:8080', `127.0.0.1:${upstreamPort}`)
    .replace('listen 80;', `listen 127.0.0.1:${port};`)
    .replace('server_name api.example.com;', 'server_name localhost;')
    .replace('api.example.com {', `http://127.0.0.1:${port} {`)
    .replaceAll('http://127.0.0.1:3000', () => url)
    .replaceAll(/(?<=server |forward_auth @keyed )127\.0\.0\.1:3000/g, () => inner)
    .replaceAll('triggers:read', () => scope);
}

function withPort(host: string): string {
  return /:\d+$/.test(host) ? host : `${host}:80`;
}

/** Where the protected API of a stack responds. */
export function addressOf(name: StackName, { url, scope, port, upstreamPort }: Values): string {
  if (name === 'curl') return `${url}/authz?scope=${scope}`;
  return `http://127.0.0.1:${stacks[name].place === 'gateway' ? port : upstreamPort}/`;
}
