import { spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../apps/cli/free-port.ts';
import type { Subject } from './bench.ts';
import type { Deployment } from './deployment.ts';
import { HEADERS, requestsOf } from './headers.ts';
import { eventually } from '../support/eventually.ts';
import { isInstalled, REST_CORE, SERVER_CORE } from './processes.ts';
import { progress } from './report.ts';

const MODULES = '/usr/lib/nginx/modules';
const NEEDED = [
  `${MODULES}/ngx_http_lua_module.so`,
  ...['redis', 'string'].map((name) => `/usr/share/lua/5.1/nginx/${name}.lua`),
];
const PACKAGES = 'libnginx-mod-http-lua lua-nginx-redis lua-nginx-string redis-server redis-tools';

/**
 * What many write themselves: nginx with a few lines of Lua, which look up the hash of the key in Redis, compare its
 * scopes, and count the use. No audit log, no limit, no expiry.
 */
export async function startNginx(
  deployment: Deployment,
): Promise<{ subject?: Subject; missing?: string; stop(): Promise<void> }> {
  const isThere = NEEDED.every((file) => existsSync(file)) && ['nginx', 'redis-server', 'redis-cli'].every(isInstalled);
  if (!isThere) return { missing: `nginx with Lua is left out: it needs ${PACKAGES}.`, stop: async () => {} };
  progress('nginx with Lua: starting it with Redis');
  const { processes, keys } = deployment;
  const folder = await mkdtemp(join(tmpdir(), 'keyledger-nginx-'));
  // If the user is root, the workers of nginx run as another user.
  await chmod(folder, 0o711);
  const [port, redisPort] = [await freePort(), await freePort()];
  const redis = processes.command('redis-server', ['--port', `${redisPort}`, '--save', '', '--dir', folder], REST_CORE);
  const tokens = keys.map(({ token }) => token);
  const pairs = tokens.flatMap((token) => [`key:${sha256(token)}`, ' triggers:read ']);
  await eventually(
    async () => redisCli(redisPort, ['mset', ...pairs]),
    (said) => said === 'OK',
  );
  await writeFile(join(folder, 'nginx.conf'), configurationOf(port, redisPort, folder));
  const nginx = processes.command('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], SERVER_CORE);
  return {
    subject: {
      name: 'nginx, Lua, Redis',
      url: `http://127.0.0.1:${port}`,
      requests: requestsOf(tokens, '/'),
      processes: { server: nginx.pid!, Redis: redis.pid! },
    },
    stop: async () => {
      await processes.stop(nginx);
      await processes.stop(redis);
      await rm(folder, { recursive: true });
    },
  };
}

/** @returns what Redis says; empty while it does not listen yet */
function redisCli(port: number, command: readonly string[]): string {
  return spawnSync('redis-cli', ['-p', `${port}`, ...command], { encoding: 'utf8' }).stdout.trim();
}

function sha256(token: string): string {
  return hash('sha256', token);
}

function configurationOf(port: number, redisPort: number, folder: string): string {
  const headers = Object.entries(HEADERS).map(([name, value]) => `ngx.header["${name}"] = "${value}"`);
  return `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
load_module ${MODULES}/ndk_http_module.so;
load_module ${MODULES}/ngx_http_lua_module.so;
events { worker_connections 2048; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  keepalive_requests 100000000;
  lua_package_path "/usr/share/lua/5.1/?.lua;;";
  server {
    listen 127.0.0.1:${port};
    location / {
      content_by_lua_block {
        local redis = require("nginx.redis"):new()
        local connected = redis:connect("127.0.0.1", ${redisPort})
        if not connected then return ngx.exit(503) end
        local digest = require("nginx.sha256"):new()
        digest:update(ngx.var.http_x_api_key or "")
        local id = require("nginx.string").to_hex(digest:final())
        local scopes = redis:get("key:" .. id)
        if scopes == ngx.null or not string.find(scopes, " triggers:read ", 1, true) then return ngx.exit(401) end
        redis:incr("uses:" .. id)
        redis:set_keepalive(60000, 256)
        ${headers.join('\n        ')}
        ngx.say("{}")
      }
    }
  }
}
`;
}
