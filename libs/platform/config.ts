import { z } from 'zod';

/**
 * Every setting of the service, read once at start from the environment.
 * `.env.example` documents each of them; a test keeps the two in step.
 */
const list = z.string().transform((value) =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean),
);
/** Other systems whose clients work here unchanged. */
const Dialect = z.enum(['commandagi', 'agentity']);
export type Dialect = z.infer<typeof Dialect>;

function port(lowest: number) {
  const error = `must be a port number between ${lowest} and 65535`;
  return z.coerce.number(error).int(error).min(lowest, error).max(65_535, error);
}

const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);

export const settings = z.object({
  HOST: z.string().min(1, 'must be an address to listen on, such as 127.0.0.1 or 0.0.0.0').default('127.0.0.1'),
  PORT: port(0).default(3000),
  PUBLIC_URL: z
    .url({ protocol: /^https?$/, error: 'must be the http(s) address under which clients reach the API' })
    .optional(),
  DATA_DIR: z.string().default('./.keyledger'),
  DATABASE_URL: z.url({
    protocol: /^postgres(ql)?$/,
    error: 'must be a PostgreSQL address such as postgres://user:password@host:5432/keyledger',
  }),
  REDIS_URL: z
    .url({ protocol: /^rediss?$/, error: 'must be a Redis address such as redis://127.0.0.1:6379' })
    .optional(),
  KEYLEDGER_SECRET: z
    .string('must be set to at least 32 random characters, the same for every process of the deployment')
    .min(32, 'must be at least 32 random characters, the same for every process of the deployment'),
  REGISTRATION: z.enum(['open', 'invite', 'closed'], 'must be open, invite or closed').optional(),
  APP_SCOPES: list
    .pipe(
      z.array(
        z
          .string()
          .regex(/^[a-z][a-z0-9-]*:[a-z][a-z0-9-]*$/, 'must be a comma-separated list of resource:action names'),
      ),
    )
    .default(['triggers:read', 'triggers:write', 'events:read', 'agents:read']),
  DEFAULT_KEY_ENVIRONMENT: z.enum(['test', 'live'], 'must be test or live').default('test'),
  DIALECTS: list
    .transform((names) => (names.join() === 'none' ? [] : [...new Set(names)]))
    .pipe(z.array(z.enum(Dialect.options, 'must be none, or a comma-separated list of commandagi and agentity')))
    .default(Dialect.options),
  TRUST_PROXY: list
    .pipe(
      z.array(
        z.union(
          [z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6(), z.enum(['loopback', 'linklocal', 'uniquelocal'])],
          'must be a comma-separated list of addresses or networks, such as 10.0.0.0/8, or loopback',
        ),
      ),
    )
    .optional(),
  PUBLIC_KEY_REQUESTS_PER_MINUTE: z.coerce
    .number('must be a number of requests')
    .int('must be a whole number of requests')
    .min(1, 'must be at least 1')
    .default(600),
  DEFAULT_CREDITS: z.coerce
    .number('must be a number of credits')
    .int('must be a whole number of credits')
    .min(0, 'must not be negative')
    .max(Number.MAX_SAFE_INTEGER, 'must be smaller')
    .optional(),
  ON_OUTAGE: z.enum(['refuse', 'allow'], 'must be refuse or allow').default('refuse'),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'must be a pino level such as info or warn')
    .default('info'),
  METRICS_PORT: port(1).optional(),
  METRICS_HOST: z.string().default('127.0.0.1'),
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .url({
      protocol: /^https?$/,
      error: 'must be the http(s) address of an OTLP receiver, such as http://127.0.0.1:4318',
    })
    .optional(),
  OTEL_EXPORTER_OTLP_HEADERS: z.string().optional(),
  OTEL_EXPORTER_OTLP_PROTOCOL: z.enum(['http/protobuf'], 'must be http/protobuf').default('http/protobuf'),
  OTEL_TRACES_SAMPLER: z
    .enum(SAMPLERS, 'must be a sampler of the OpenTelemetry specification, such as parentbased_traceidratio')
    .default('parentbased_always_on'),
  OTEL_TRACES_SAMPLER_ARG: z.coerce
    .number('must be a ratio between 0 and 1')
    .min(0, 'must be a ratio between 0 and 1')
    .max(1, 'must be a ratio between 0 and 1')
    .default(1),
});

export type Settings = z.output<typeof settings>;

/** Injection token and shape of the settings, with what follows from them. */
export class Config {
  constructor(readonly settings: Settings) {}

  get registration(): 'open' | 'invite' | 'closed' {
    return this.settings.REGISTRATION ?? (LOOPBACK.has(this.settings.HOST) ? 'open' : 'invite');
  }

  /** The `iss` of our tokens, and the base of every link that we hand out. */
  get publicUrl(): string {
    return (this.settings.PUBLIC_URL ?? `http://${this.settings.HOST}:${this.settings.PORT}`).replace(/\/$/, '');
  }
}

/** A setting that the service cannot start with. The message is one sentence that begins with the variable's name. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** The exit code of a process that refused its settings (`EX_CONFIG` of sysexits.h): starting it again cannot help. */
export const EXIT_CONFIG = 78;

/** @throws ConfigError on the first setting that is missing or wrong. */
export function readConfig(env: Environment): Config {
  return new Config(parse(settings, env));
}

/** For a command that needs no other setting. @throws ConfigError when it is missing or wrong. */
export function readDatabaseUrl(env: Environment): string {
  return parse(settings.pick({ DATABASE_URL: true }), env).DATABASE_URL;
}

type Environment = Record<string, string | undefined>;

/** An empty variable, as `docker compose` passes for one that is unset, means that it was not given. */
export function givenSettings(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
}

/** For whoever makes or finds the database and its secret later: only the other settings are checked. */
export function readConfigWithoutDatabase(env: Environment): Config {
  const toCome = { DATABASE_URL: 'postgres://127.0.0.1/keyledger', KEYLEDGER_SECRET: '-'.repeat(32) };
  return readConfig({ ...toCome, ...givenSettings(env) });
}

function parse<Schema extends z.ZodObject>(schema: Schema, env: Environment): z.output<Schema> {
  const parsed = schema.safeParse(givenSettings(env));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new ConfigError(`${issue?.path[0]?.toString()} ${issue?.message}.`);
}
