import { describe, expect, it } from '@jest/globals';
import { ConfigError, readConfig } from './config.js';

const good = { DATABASE_URL: 'postgres://keyledger@db/keyledger', KEYLEDGER_SECRET: 'x'.repeat(32) };

describe('a bad setting stops the start with one sentence that names it', () => {
  it.each([
    ['PORT', 'abc'],
    ['PORT', ' '],
    ['PORT', ' 5'],
    ['PORT', '5 '],
    ['PORT', '+5'],
    ['PORT', '-1'],
    ['PORT', '5.0'],
    ['PORT', '1e3'],
    ['PORT', '0x10'],
    ['PORT', '03000'],
    ['PORT', '3000\n'],
    ['HOST', '127.1'],
    ['HOST', '2130706433'],
    ['HOST', '0x7f000001'],
    ['HOST', '127.0.0.1,::1'],
    ['HOST', 'http://localhost'],
    ['METRICS_HOST', '0'],
    ['WITNESSES', 'example.com/w+0123abcd+BASE64'],
    ['WITNESSES', 'https://w.example.com'],
    ['WITNESSES', 'example.com/w+0123abcd+BASE64 ftp://w.example.com'],
    ['WITNESSES', 'example.com/w+0123abcd+BASE64 https://w.example.com,'],
    ['WITNESSES', 'example.com/w+0123 https://w.example.com'],
    ['WITNESSES', 'example.com/w+0123abcd+BASE64 https://w.example.com/?x=1'],
    ['WITNESS_QUORUM', '0'],
    ['WITNESS_QUORUM', 'all'],
    ['WITNESS_SECONDS', '0'],
    ['WITNESS_SECONDS', '1m'],
    ['PUBLIC_URL', ' https://keys.example.com'],
    ['PUBLIC_URL', 'https:keys.example.com'],
    ['PUBLIC_URL', 'https://keys.example.com?x=1'],
    ['PUBLIC_URL', 'https://keys.example.com/#x'],
    ['PUBLIC_URL', 'https://ada@keys.example.com'],
    ['PUBLIC_URL', 'https://keys.example\t.com'],
    ['PORT', '70000'],
    ['PUBLIC_URL', 'keys.example.com'],
    ['DATABASE_URL', 'mysql://db/keyledger'],
    ['DATABASE_URL', ''],
    ['REDIS_URL', 'http://redis'],
    ['KEYLEDGER_SECRET', 'too short'],
    ['KEYLEDGER_SECRET', ''],
    ['REGISTRATION', 'maybe'],
    ['APP_SCOPES', 'triggers'],
    ['APP_SCOPES', 'triggers:*'],
    ['APP_SCOPES', 'a:b,,'],
    ['APP_SCOPES', 'a:b,'],
    ['APP_SCOPES', ','],
    ['APP_SCOPES', 'a:b c:d'],
    ['APP_SCOPES', 'A:b'],
    ['REGISTRATION', 'Open'],
    ['REGISTRATION', 'open,invite'],
    ['PUBLIC_KEY_REQUESTS_PER_MINUTE', '0'],
    ['PUBLIC_KEY_REQUESTS_PER_MINUTE', '1e3'],
    ['PUBLIC_KEY_REQUESTS_PER_MINUTE', '600.0'],
    ['PUBLIC_KEY_REQUESTS_PER_MINUTE', 'Infinity'],
    ['DEFAULT_CREDITS', '-1'],
    ['DEFAULT_CREDITS', '0x10'],
    ['DEFAULT_CREDITS', '9007199254740993'],
    ['DEFAULT_KEY_ENVIRONMENT', 'prod'],
    ['DIALECTS', 'klingon'],
    ['DIALECTS', 'none,agentity'],
    ['DIALECTS', 'agentity,'],
    ['DIALECTS', 'None'],
    ['TRUST_PROXY', 'everybody'],
    ['TRUST_PROXY', 'true'],
    ['TRUST_PROXY', '1'],
    ['TRUST_PROXY', ','],
    ['TRUST_PROXY', '10.0.0.1,'],
    ['TRUST_PROXY', ',10.0.0.1'],
    ['TRUST_PROXY', '10.0.0.1,,10.0.0.2'],
    ['TRUST_PROXY', '10.0.0.1 10.0.0.2'],
    ['TRUST_PROXY', '10.0.0.1;10.0.0.2'],
    ['TRUST_PROXY', 'Loopback'],
    ['TRUST_PROXY', '10.1'],
    ['TRUST_PROXY', '010.0.0.1'],
    ['TRUST_PROXY', '10.0.0.0/'],
    ['TRUST_PROXY', '10.0.0.0/255.0.0.0'],
    ['TRUST_PROXY', '10.0.0.1:80'],
    ['TRUST_PROXY', 'gateway.internal'],
    ['TRUST_PROXY', '10.0.0.0/99'],
    ['ON_OUTAGE', 'ignore'],
    ['LOG_LEVEL', 'loud'],
    ['METRICS_PORT', '0'],
    ['METRICS_PORT', 'on'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'localhost:4318'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
    ['OTEL_TRACES_SAMPLER', 'sometimes'],
    ['OTEL_TRACES_SAMPLER_ARG', '2'],
    ['OTEL_TRACES_SAMPLER_ARG', '1e-3'],
    ['OTEL_TRACES_SAMPLER_ARG', ' '],
    ['OTEL_TRACES_SAMPLER_ARG', '0,5'],
    ['OTEL_TRACES_SAMPLER_ARG', '.5'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'authorization'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'authorization=,'],
    ['KEYLEDGER_SECRET', ` ${'x'.repeat(32)}`],
    ['KEYLEDGER_SECRET', `${'x'.repeat(32)}\n`],
    ['DATA_DIR', ' '],
  ])('%s=%s', (name, value) => {
    const read = () => readConfig({ ...good, [name]: value });
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(new RegExp(`^${name} [^.]+(\\.\\d+[^.]*)*\\.$`));
  });
});

it('an empty setting counts as not set', () => {
  const { settings } = readConfig({ ...good, PORT: '', REDIS_URL: '' });
  expect([settings.PORT, settings.REDIS_URL]).toEqual([3000, undefined]);
});

it('a list is read without the spaces around its items', () => {
  expect(readConfig({ ...good, APP_SCOPES: 'a:read , b:write' }).settings.APP_SCOPES).toEqual(['a:read', 'b:write']);
});

describe('a misspelt variable stops the start with one sentence that names it and the likely setting', () => {
  it.each([
    ['TRUSTED_PROXY', 'TRUST_PROXY'],
    ['TRUST_PROXIES', 'TRUST_PROXY'],
    ['TRUSTED_PROXIES', 'TRUST_PROXY'],
    ['TRUST_PROXY_HEADERS', 'TRUST_PROXY'],
    ['TRSUT_PROXY', 'TRUST_PROXY'],
    ['TRUSTPROXY', 'TRUST_PROXY'],
    ['Trust_Proxy', 'TRUST_PROXY'],
    ['trust_proxy', 'TRUST_PROXY'],
    ['TRUST-PROXY', 'TRUST_PROXY'],
    ['APP_SCOPE', 'APP_SCOPES'],
    ['ON_OUTGAE', 'ON_OUTAGE'],
    ['ON_OUTAGES', 'ON_OUTAGE'],
    ['REGISTRATIONS', 'REGISTRATION'],
    ['REGISTATION', 'REGISTRATION'],
    ['DATABASE_URI', 'DATABASE_URL'],
    ['REDIS_URLS', 'REDIS_URL'],
    ['PUBLIC_URI', 'PUBLIC_URL'],
    ['Port', 'PORT'],
    ['host', 'HOST'],
    ['DIALECT', 'DIALECTS'],
    ['METRIC_PORT', 'METRICS_PORT'],
    ['LOGLEVEL', 'LOG_LEVEL'],
    ['PUBLIC_KEY_REQUESTS', 'PUBLIC_KEY_REQUESTS_PER_MINUTE'],
    ['PUBLIC_KEYS_REQUESTS_PER_MINUTE', 'PUBLIC_KEY_REQUESTS_PER_MINUTE'],
    ['DEFAULT_CREDIT', 'DEFAULT_CREDITS'],
    ['DEFAULT_KEY_ENV', 'DEFAULT_KEY_ENVIRONMENT'],
    ['KEYLEDGER_SECRETS', 'KEYLEDGER_SECRET'],
    ['KEYLEDGER_SERVICE_KEYS', 'KEYLEDGER_SERVICE_KEY'],
    ['MAX_KEYS_PER_ORG', 'MAX_KEYS_PER_ORGANIZATION'],
    ['MAX_KEYS_PER_ORGANISATION', 'MAX_KEYS_PER_ORGANIZATION'],
    ['RECORD_CLIENT_IP', 'RECORD_CLIENT_ADDRESS'],
    ['RECORD_ACTOR_NAME', 'RECORD_ACTOR'],
    ['RECORD_USER_AGENTS', 'RECORD_USER_AGENT'],
    ['OTEL_TRACE_SAMPLER', 'OTEL_TRACES_SAMPLER'],
  ])('%s', (name, meant) => {
    expect(() => readConfig({ ...good, [name]: '10.0.0.0/8' })).toThrow(
      new ConfigError(`${name} is not a setting, but looks like ${meant}: correct its name, or unset it.`),
    );
  });

  it('also reports a name that resembles no setting, and ignores an empty variable', () => {
    expect(() => readConfig({ ...good, KEYLEDGER_QUUX_OF_SOMETHING: '1' })).toThrow(
      new ConfigError('KEYLEDGER_QUUX_OF_SOMETHING is not a setting: correct its name, or unset it.'),
    );
    for (const name of ['KEYLEDGER_PORT', 'MAX_MEMBERS_PER_TEAM', 'REGISTRATIONS_PER_HOUR', 'RECORD_CLIENT']) {
      expect(() => readConfig({ ...good, [name]: '3000' })).toThrow(ConfigError);
    }
    expect(() => readConfig({ ...good, TRUSTED_PROXY: '' })).not.toThrow();
  });
});

it('variables of the machine, the platform and other programs are ignored', () => {
  const others = `
    HOME HOSTNAME PATH PWD OLDPWD SHELL SHLVL USER USERNAME LOGNAME TERM LANG LANGUAGE LC_ALL TZ EDITOR VISUAL PAGER MAIL TMPDIR TEMP
    HOSTS PORTS POST HOSTTYPE OSTYPE SSH_AUTH_SOCK SSH_CONNECTION DISPLAY XDG_DATA_DIRS XDG_DATA_HOME XDG_CONFIG_DIRS XDG_RUNTIME_DIR
    NODE_ENV NODE_OPTIONS NODE_PATH NODE_VERSION NODE_EXTRA_CA_CERTS NODE_COMPILE_CACHE NPM_CONFIG_LOGLEVEL npm_config_loglevel
    npm_config_user_agent npm_config_registry npm_config_cache npm_lifecycle_event npm_package_name npm_package_version npm_execpath
    npm_package_bin_keyledger npm_config_local_prefix INIT_CWD COLOR NO_COLOR FORCE_COLOR CI GITHUB_ACTIONS GITLAB_CI YARN_VERSION DEBUG DEBIAN_FRONTEND
    http_proxy HTTP_PROXY https_proxy HTTPS_PROXY no_proxy NO_PROXY all_proxy FTP_PROXY REQUESTS_CA_BUNDLE SSL_CERT_FILE SSL_CERT_DIR
    KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT KUBERNETES_SERVICE_PORT_HTTPS KUBERNETES_PORT KUBERNETES_PORT_443_TCP
    KUBERNETES_PORT_443_TCP_ADDR POD_NAME POD_NAMESPACE POD_IP HOST_IP NODE_NAME METRICS_SERVICE_HOST METRICS_SERVICE_PORT REDIS_PORT
    REDIS_SERVICE_HOST REDIS_PORT_6379_TCP REDIS_HOST REDIS_PASSWORD REDIS_TLS_URL POSTGRES_USER POSTGRES_DB POSTGRES_HOST POSTGRES_URL
    POSTGRESQL_PASSWORD POSTGRESQL_URL PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE PGSSLMODE PGDATA DATABASE_HOST DATABASE_PORT
    DATABASE_NAME DATABASE_USER DATABASE_PASSWORD DATABASE_SSL DATABASE_URL_UNPOOLED DATABASE_POOL_SIZE DB_URL JDBC_DATABASE_URL
    TEST_DATABASE_URL MYSQL_URL BASE_URL API_URL APP_URL APP_NAME APP_ENV APP_KEY APP_DEBUG PUBLIC_PORT PUBLIC_IP PUBLIC_PATH SECRET_KEY
    PUBLIC_KEY PUBLIC_KEY_PATH DEFAULT_REGION AWS_REGION AWS_DEFAULT_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
    AWS_LAMBDA_FUNCTION_NAME AWS_ROLE_ARN ECS_CONTAINER_METADATA_URI GOOGLE_CLOUD_PROJECT K_SERVICE K_REVISION DYNO FLY_APP_NAME FLY_REGION
    RENDER_SERVICE_NAME RAILWAY_ENVIRONMENT WEBSITE_SITE_NAME WEBSITES_PORT HEROKU_APP_NAME VCAP_SERVICES VAULT_ADDR CONSUL_HTTP_ADDR
    OTEL_SERVICE_NAME OTEL_RESOURCE_ATTRIBUTES OTEL_PROPAGATORS OTEL_SDK_DISABLED OTEL_LOG_LEVEL OTEL_TRACES_EXPORTER
    OTEL_METRICS_EXPORTER OTEL_LOGS_EXPORTER OTEL_EXPORTER_OTLP_TRACES_ENDPOINT OTEL_EXPORTER_OTLP_METRICS_ENDPOINT
    OTEL_EXPORTER_OTLP_TRACES_HEADERS OTEL_EXPORTER_OTLP_TIMEOUT OTEL_EXPORTER_OTLP_COMPRESSION OTEL_EXPORTER_OTLP_INSECURE
    OTEL_EXPORTER_OTLP_CERTIFICATE OTEL_BSP_SCHEDULE_DELAY OTEL_METRICS_EXEMPLAR_FILTER OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT
    DD_AGENT_HOST DD_ENV DD_SERVICE DD_TRACE_ENABLED SENTRY_DSN NEW_RELIC_LICENSE_KEY PROMETHEUS_PORT STATSD_HOST LOG_FORMAT LOG_FILE
    LOG_DIR RUST_LOG PYTHONUNBUFFERED JAVA_HOME GOPATH LD_LIBRARY_PATH MALLOC_ARENA_MAX UV_THREADPOOL_SIZE WEB_CONCURRENCY WORKERS
    KEYLEDGER_SERVICE_HOST KEYLEDGER_SERVICE_PORT KEYLEDGER_SERVICE_PORT_HTTP KEYLEDGER_PORT_3000_TCP KEYLEDGER_PORT_3000_TCP_ADDR
    KEYLEDGER_PORT_3000_TCP_PORT KEYLEDGER_PORT_3000_TCP_PROTO KEYLEDGER_API_SERVICE_HOST KEYLEDGER_API_PORT_3000_TCP
    KEYLEDGER_API_KEY KEYLEDGER_URL KEYLEDGER_SERVICE_KEY EXAMPLE_PORT POSTGRES_PASSWORD`;
  const env = Object.fromEntries(
    others
      .trim()
      .split(/\s+/)
      .map((name) => [name, 'x']),
  );
  const ofKubernetes = { KEYLEDGER_PORT: 'tcp://10.0.0.1:3000', KEYLEDGER_API_PORT: 'tcp://10.0.0.2:3000' };
  expect(() => readConfig({ ...env, ...ofKubernetes, ...good })).not.toThrow();
});
