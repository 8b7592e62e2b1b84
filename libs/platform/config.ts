import { availableParallelism } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import { z } from 'zod';
import { misspeltName } from './setting-names.js';

/** A comma-separated list, with optional blanks around the items. An empty item is an error. */
function list<Item extends z.ZodType<unknown, string>>(item: Item, error: string) {
  return z
    .string()
    .transform((value) => value.split(',').map((text) => text.trim()))
    .pipe(z.array(z.string().min(1, `${error}, without an empty item`)))
    .pipe(z.array(item));
}

/** Digits only: JavaScript also reads `1e3`, `0x10` and ` 5` as numbers. */
function digits(lowest: number, highest: number, error: string) {
  return z
    .string()
    .regex(/^(0|[1-9]\d{0,15})$/, error)
    .transform(Number)
    .pipe(z.int(error).min(lowest, error).max(highest, error));
}

/** Other systems whose clients work with this service unchanged. */
const Dialect = z.enum(['commandagi', 'agentity']);
export type Dialect = z.infer<typeof Dialect>;

function port(lowest: number) {
  return digits(lowest, 65_535, `must be a port number between ${lowest} and 65535`);
}

/** An address, or a name that cannot be mistaken for one: programs differ in how they read `127.1` and `0x7f.1`. */
function host(error: string) {
  const name = z.string().regex(/^(?=.*[a-z])[a-z0-9]([\w-]*[a-z0-9])?(\.[a-z0-9]([\w-]*[a-z0-9])?)*$/i);
  return z.union([z.ipv4(), z.ipv6(), name.refine((text) => !/^0x/i.test(text))], error);
}

const SCOPES = 'must be a comma-separated list of resource:action names';
const DIALECTS = 'must be none, or a comma-separated list of commandagi and agentity';
const PROXIES = 'must be a comma-separated list of addresses or networks, such as 10.0.0.0/8, or loopback';
const AUDIENCES =
  'must be a comma-separated list of names or addresses of services, such as https://api.example.com, and not keyledger';
const REQUESTS = 'must be a whole number of requests, at least 1';
const REGISTRATIONS = 'must be a whole number of registrations, from 1 to 1000000';
const CACHE = 'must be a whole number of megabytes, at least 16';
const CREDITS = 'must be a whole number of credits, not negative';
const PROCESSES = 'must be a number of processes between 1 and 64, or auto';
const DAYS = 'must be a whole number of days between 30 and 36500';
const RATIO = 'must be a ratio between 0 and 1, such as 0.25';
const OTLP_HEADERS = 'must be a comma-separated list of name=value';
const LOG_ORIGIN = 'must be an address without https:// and without a slash at its end, such as keys.example.com';
const WITNESSES =
  'must be a comma-separated list of witnesses, each with its vkey (name+id+key), a blank and its http(s) address';
const PUBLIC_ADDRESS =
  'must be the http(s) address under which clients reach the API, without a user, a query and a fragment';

/** A limit on the number of objects of a customer. */
function limit(what: string, byDefault: number) {
  return digits(1, 1_000_000, `must be a whole number of ${what} between 1 and 1000000`).default(byDefault);
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

/**
 * All settings of the service, read from the environment once at start. `.env.example` documents each of them; a test
 * keeps the two in step.
 */
export const settings = z.object({
  HOST: host('must be an address to listen on, such as 127.0.0.1 or 0.0.0.0').default('127.0.0.1'),
  PORT: port(0).default(3000),
  API_PROCESSES: z
    .union([z.literal('auto').transform(() => availableParallelism()), digits(1, 64, PROCESSES)], PROCESSES)
    .default(1),
  PUBLIC_URL: z
    .url({ protocol: /^https?$/, error: PUBLIC_ADDRESS })
    .refine((text) => /^https?:\/\/[^/?#@]+(\/[^?#]*)?$/i.test(text), PUBLIC_ADDRESS)
    .optional(),
  DATA_DIR: z.string().default('./.keyledger'),
  ANCHOR_FILE: z.string().optional(),
  LOG_ORIGIN: z
    .string()
    .max(100, LOG_ORIGIN)
    .regex(/^[a-z0-9][a-z0-9.-]*(:\d+)?(\/[\w.~-]+)*$/i, LOG_ORIGIN)
    .optional(),
  WITNESSES: list(
    z
      .string()
      .regex(/^\S+\+[\da-f]{8}\+\S+ +https?:\/\/[^\s?#]+$/, WITNESSES)
      .transform((text) => {
        const [vkey, url] = text.split(/ +/) as [string, string];
        return { vkey, url };
      }),
    WITNESSES,
  ).default([]),
  WITNESS_QUORUM: digits(1, 32, 'must be a whole number of witnesses, from 1 to 32').optional(),
  WITNESS_SECONDS: digits(1, 86_400, 'must be a whole number of seconds, from 1 to 86400').default(60),
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
  APP_SCOPES: list(z.string().regex(/^[a-z][a-z0-9-]*:[a-z][a-z0-9-]*$/, SCOPES), SCOPES).default([
    'triggers:read',
    'triggers:write',
    'events:read',
    'agents:read',
  ]),
  DEFAULT_KEY_ENVIRONMENT: z.enum(['test', 'live'], 'must be test or live').default('test'),
  DIALECTS: z
    .union([z.literal('none').transform((): Dialect[] => []), list(z.enum(Dialect.options), DIALECTS)], DIALECTS)
    .transform((names) => [...new Set(names)])
    .default(Dialect.options),
  TOKEN_AUDIENCES: list(
    z
      .string()
      .max(200, AUDIENCES)
      .regex(/^[!-~]+$/, AUDIENCES)
      // The audience of access tokens, with which users call Keyledger itself.
      .refine((name) => name.toLowerCase() !== 'keyledger', AUDIENCES),
    AUDIENCES,
  ).default([]),
  TRUST_PROXY: list(
    z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6(), z.enum(['loopback', 'linklocal', 'uniquelocal'])], PROXIES),
    PROXIES,
  ).optional(),
  PUBLIC_KEY_REQUESTS_PER_MINUTE: digits(1, Number.MAX_SAFE_INTEGER, REQUESTS).default(600),
  REGISTRATIONS_PER_MINUTE: digits(1, 1_000_000, REGISTRATIONS).default(120),
  MAX_KEYS_PER_ORGANIZATION: limit('API keys', 100_000),
  MAX_KEYS_PER_PROJECT: limit('API keys', 50_000),
  MAX_PROJECTS_PER_ORGANIZATION: limit('projects', 1_000),
  MAX_MEMBERS_PER_ORGANIZATION: limit('members', 5_000),
  MAX_ORGANIZATIONS_PER_USER: limit('organizations', 100),
  CACHE_MB: digits(16, 1_000_000, CACHE).optional(),
  DEFAULT_CREDITS: digits(0, Number.MAX_SAFE_INTEGER, CREDITS).optional(),
  AUDIT_RETENTION_DAYS: digits(30, 36_500, DAYS).optional(),
  RECORD_CLIENT_ADDRESS: z.enum(['full', 'network', 'none'], 'must be full, network or none').default('full'),
  RECORD_USER_AGENT: z.enum(['full', 'family', 'none'], 'must be full, family or none').default('full'),
  RECORD_ACTOR: z.enum(['name', 'id'], 'must be name or id').default('name'),
  ON_OUTAGE: z.enum(['refuse', 'allow'], 'must be refuse or allow').default('refuse'),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'must be a pino level such as info or warn')
    .default('info'),
  METRICS_PORT: port(1).optional(),
  METRICS_HOST: host('must be an address to serve the metrics on, such as 127.0.0.1').default('127.0.0.1'),
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .url({
      protocol: /^https?$/,
      error: 'must be the http(s) address of an OTLP receiver, such as http://127.0.0.1:4318',
    })
    .optional(),
  OTEL_EXPORTER_OTLP_HEADERS: list(
    z.string().regex(/^[\w!#$%&'*+.^`|~-]+ *= *\S.*$/, OTLP_HEADERS),
    OTLP_HEADERS,
  ).optional(),
  OTEL_EXPORTER_OTLP_PROTOCOL: z.enum(['http/protobuf'], 'must be http/protobuf').default('http/protobuf'),
  OTEL_TRACES_SAMPLER: z
    .enum(SAMPLERS, 'must be a sampler of the OpenTelemetry specification, such as parentbased_traceidratio')
    .default('parentbased_always_on'),
  OTEL_TRACES_SAMPLER_ARG: z
    .string()
    .regex(/^(0(\.\d{1,15})?|1(\.0{1,15})?)$/, RATIO)
    .transform(Number)
    .default(1),
});

export type Settings = z.output<typeof settings>;

/** Injection token of the settings, with values derived from them. */
export class Config {
  constructor(readonly settings: Settings) {}

  get registration(): 'open' | 'invite' | 'closed' {
    return this.settings.REGISTRATION ?? (LOOPBACK.has(this.settings.HOST) ? 'open' : 'invite');
  }

  /** Memory limit for the caches of keys. Default: a quarter of Node's heap limit. */
  get cacheBytes(): number {
    const { CACHE_MB } = this.settings;
    return CACHE_MB ? CACHE_MB * 2 ** 20 : Math.floor(getHeapStatistics().heap_size_limit / 4);
  }

  /** The `iss` of our tokens, and the base of every link that we give to callers. */
  get publicUrl(): string {
    return (this.settings.PUBLIC_URL ?? `http://${this.settings.HOST}:${this.settings.PORT}`).replace(/\/$/, '');
  }
}

/** A setting prevents the start. The message is one sentence that begins with the variable's name. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Exit code of a process that rejects its settings (`EX_CONFIG` of sysexits.h): starting it again does not help. */
export const EXIT_CONFIG = 78;

/** @throws ConfigError for the first setting that is missing or wrong. */
export function readConfig(env: Environment): Config {
  return new Config(parse(settings, env));
}

/** For commands that need no other setting. @throws ConfigError if it is missing or wrong. */
export function readDatabaseUrl(env: Environment): string {
  return parse(settings.pick({ DATABASE_URL: true }), env).DATABASE_URL;
}

type Environment = Record<string, string | undefined>;

/** An empty variable counts as not set: `docker compose` passes one for each unset variable. */
export function givenSettings(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
}

/** For callers that create or find the database and its secret later: checks only the other settings. */
export function readConfigWithoutDatabase(env: Environment): Config {
  const toCome = { DATABASE_URL: 'postgres://127.0.0.1/keyledger', KEYLEDGER_SECRET: '-'.repeat(32) };
  return readConfig({ ...toCome, ...givenSettings(env) });
}

function parse<Schema extends z.ZodObject>(schema: Schema, env: Environment): z.output<Schema> {
  const given = givenSettings(env);
  refuseMisspeltNames(given);
  for (const name of Object.keys(schema.shape)) refuseOddText(name, given[name]);
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new ConfigError(`${issue?.path[0]?.toString()} ${issue?.message}.`);
}

/** Processes that take no arguments would ignore `--port=3000`. @throws ConfigError */
export function refuseArguments([argument]: readonly string[]): void {
  if (argument === undefined) return;
  // The value may be a secret.
  const [given] = argument.split('=');
  const variable = given!.replace(/^-+/, '').replaceAll('-', '_').toUpperCase();
  const names = Object.keys(settings.shape);
  const meant = names.includes(variable) ? variable : misspeltName({ [variable]: '' }, names)?.meant;
  const advice = meant ? `set the variable ${meant}` : 'its settings are variables of the environment';
  throw new ConfigError(`${given} is an argument, and this process takes none: ${advice}.`);
}

/** A variable with a misspelt name would be ignored. @throws ConfigError */
export function refuseMisspeltNames(env: Environment, isOurs: (name: string) => boolean = () => true): void {
  const misspelt = misspeltName(
    Object.fromEntries(Object.entries(env).filter(([name]) => isOurs(name))),
    Object.keys(settings.shape),
  );
  if (!misspelt) return;
  const { name, meant } = misspelt;
  throw new ConfigError(
    meant
      ? `${name} is not a setting, but looks like ${meant}: correct its name, or unset it.`
      : `${name} is not a setting: correct its name, or unset it.`,
  );
}

/** Copying adds blanks: addresses are read without them, secrets with them. */
function refuseOddText(name: string, value = ''): void {
  if (value !== value.trim()) throw new ConfigError(`${name} must not begin or end with a blank.`);
  // eslint-disable-next-line no-control-regex -- the check looks for control characters
  if (/[\x00-\x1f\x7f]/.test(value)) throw new ConfigError(`${name} must be one line without control characters.`);
}
