import { SettingWords } from './setting-words.js';
import { nearestName, slipsBetween } from './suggest.js';

/** Variables of our other programs: the command line and the example. */
const OF_OUR_PROGRAMS = ['KEYLEDGER_API_KEY', 'KEYLEDGER_SERVICE_KEY', 'KEYLEDGER_URL', 'EXAMPLE_PORT'];
/** Variables of docker compose. Similar names are accepted: images of PostgreSQL have some. */
const OF_COMPOSE = ['POSTGRES_PASSWORD'];
/** What operators also call the address and the port to listen on. */
const OTHER_NAMES = new Map([
  ['LISTEN_HOST', 'HOST'],
  ['LISTEN_PORT', 'PORT'],
]);

const OURS = 'KEYLEDGER';
/** Prefixes that only our variables have, and that of OpenTelemetry, whose names are known. */
const UNMISTAKABLE =
  /^(OTEL[_-]|TRUST(ED)?_?PROX|APP_?SCOPE|PUBLIC_?KEY_?REQUESTS|DEFAULT_?KEY_?ENV|DEFAULT_?CREDIT|(ON_?)?OUTAGE|MAX_?(KEY|PROJECT|MEMBER|ORGANI[SZ]ATION)S?_?PER|REGISTRATION|RECORD_?(CLIENT|USER_?AGENT|ACTOR))/;
/** Similar names that other programs use. */
const OF_OTHERS = new Set(['CACHE_DB', 'DATABASE_DIALECT', 'REGISTRATION_TOKEN', 'USER_AGENT']);
/** Kubernetes and docker set these in every container for a service `keyledger` (`KEYLEDGER_PORT_3000_TCP_ADDR`, …). */
const OF_A_SERVICE = /_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)$/;
/** npm sets one for each part of package.json, such as `npm_package_bin_keyledger`. */
const OF_NPM = /^npm_/;
const ADDRESS_OF_A_SERVICE = /^(tcp|udp|sctp):\/\//;

/**
 * The variables that the OpenTelemetry specification defines, with those of its languages and of its operator. Our
 * libraries read some of them, and others may be there for other programs.
 */
const OF_OPEN_TELEMETRY = [
  /^OTEL_(SDK_DISABLED|SERVICE_NAME|LOG_LEVEL|PROPAGATORS|ENTITIES|TRACES_SAMPLER(_ARG)?|(EXPERIMENTAL_)?CONFIG_FILE)$/,
  /^OTEL_(RESOURCE_ATTRIBUTES(_(POD|NODE)_(NAME|UID|IP))?|(POD|NODE)_IP|SEMCONV_STABILITY_OPT_IN|INSTRUMENTATION_[A-Z0-9_]+)$/,
  /^OTEL_B(S|LR)P_(SCHEDULE_DELAY|EXPORT_TIMEOUT|MAX_QUEUE_SIZE|MAX_EXPORT_BATCH_SIZE)$/,
  /^OTEL_((SPAN|LOGRECORD)_)?ATTRIBUTE_(VALUE_LENGTH|COUNT)_LIMIT$/,
  /^OTEL_(SPAN_(EVENT|LINK)_COUNT_LIMIT|(EVENT|LINK)_ATTRIBUTE_COUNT_LIMIT)$/,
  /^OTEL_((TRACES|METRICS|LOGS|PROFILES)_EXPORTER|METRICS_EXEMPLAR_FILTER|METRIC_EXPORT_(INTERVAL|TIMEOUT))$/,
  /^OTEL_EXPORTER_OTLP_((TRACES|METRICS|LOGS|PROFILES)_)?(ENDPOINT|HEADERS|PROTOCOL|TIMEOUT|COMPRESSION|INSECURE)$/,
  /^OTEL_EXPORTER_OTLP_((TRACES|METRICS|LOGS|PROFILES)_)?(CERTIFICATE|CLIENT_KEY|CLIENT_CERTIFICATE)$/,
  /^OTEL_EXPORTER_OTLP_((SPAN|METRIC)_INSECURE|METRICS_(TEMPORALITY_PREFERENCE|DEFAULT_HISTOGRAM_AGGREGATION))$/,
  /^OTEL_(EXPORTER_ZIPKIN_(ENDPOINT|TIMEOUT|PROTOCOL)|EXPORTER_PROMETHEUS_(HOST|PORT))$/,
  /^OTEL_EXPORTER_JAEGER_(AGENT_HOST|AGENT_PORT|ENDPOINT|PROTOCOL|TIMEOUT|USER|PASSWORD)$/,
  /^OTEL_(CPP|DOTNET|ELIXIR|ERLANG|GO|JAVA|JAVAAGENT|JAVASCRIPT|JS|NODE|NODEJS|PHP|PYTHON|RUBY|RUST|SWIFT)_[A-Z0-9_]+$/,
];

/** Shorter names, such as HOST or PORT, are too similar to variables of other programs. */
const SHORTEST = 8;
/** Names of this length may have two wrong letters, shorter ones one. */
const LONG = 14;
/** Longer names are not compared: no setting is nearly as long, and comparing them takes time. */
const LONGEST = 100;

export interface MisspeltName {
  readonly name: string;
  /** The setting that the operator most likely meant. */
  readonly meant: string | undefined;
}

/**
 * Finds the first variable that is meant for us but is not a setting, so that it would be ignored: its case differs, a
 * letter or two are wrong, it has the words of a setting in another order, form or number, or it has a prefix that only
 * our variables have. Variables of a platform and of other programs do not match.
 */
export function misspeltName(
  env: Readonly<Record<string, string | undefined>>,
  settings: readonly string[],
): MisspeltName | undefined {
  const compared = [...settings, ...OF_OUR_PROGRAMS];
  const known = new Set([...compared, ...OF_COMPOSE]);
  // Names as short as HOST resemble too many others.
  const words = new SettingWords([...compared.filter(({ length }) => length >= SHORTEST), ...OTHER_NAMES.keys()]);
  for (const name of Object.keys(env)) {
    if (known.has(name) || isOfAnother(name, env[name])) continue;
    const near = nearNames(name, compared);
    const meant = near.length > 0 ? nearestName(name, near) : words.meantBy(name);
    if (meant === undefined && !isUnmistakable(name)) continue;
    const likely = meant ?? withoutOurName(name, settings) ?? words.mostSimilar(name) ?? nearestName(name, compared);
    return { name, meant: likely && (OTHER_NAMES.get(likely) ?? likely) };
  }
  return undefined;
}

function isOfAnother(name: string, value = ''): boolean {
  if (OF_OTHERS.has(name.toUpperCase()) || OF_OPEN_TELEMETRY.some((known) => known.test(name))) return true;
  return OF_NPM.test(name) || OF_A_SERVICE.test(name) || (name.endsWith('_PORT') && ADDRESS_OF_A_SERVICE.test(value));
}

function isUnmistakable(name: string): boolean {
  return UNMISTAKABLE.test(name.toUpperCase()) || isNamedAfterUs(name);
}

/** Whether a name ends with KEYLEDGER, or begins with it or a misspelling: `KEY_LEDGER_URL`, `KEYLEGDER_URL`. */
export function isNamedAfterUs(name: string): boolean {
  if (name.length > LONGEST) return /^KEYLEDGER/i.test(name);
  const letters = lettersOf(name.toUpperCase());
  return [8, 9, 10].some((length) => slipsBetween(letters.slice(0, length), OURS) <= 2) || letters.endsWith(OURS);
}

/** `KEYLEDGER_PORT` means PORT. */
function withoutOurName(name: string, settings: readonly string[]): string | undefined {
  const rest = name.toUpperCase().replace(/^KEY_?LEDGER_/, '');
  return settings.includes(rest) ? rest : undefined;
}

/** The settings that differ in case or separators, or in a letter or two. */
function nearNames(given: string, settings: readonly string[]): string[] {
  if (given.length > LONGEST) return [];
  const name = given.toUpperCase();
  const letters = lettersOf(name);
  return settings.filter((setting) => {
    if (name === setting) return true;
    if (setting.length < SHORTEST) return false;
    const allowed = setting.length < LONG ? 1 : 2;
    const own = lettersOf(setting);
    if (Math.abs(letters.length - own.length) > allowed) return false;
    return letters === own || slipsBetween(name, setting) <= allowed;
  });
}

function lettersOf(name: string): string {
  return name.replace(/[^A-Z0-9]/g, '');
}
