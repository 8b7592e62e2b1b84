import type { Command } from 'commander';
import { holdsSecret } from '#libs/api-key-format/search-term.js';
import type { Problem } from '#libs/contract/problem.js';
import { formatRateLimit, type RateLimit } from '#libs/contract/rate-limits.js';
import { formatDuration } from './durations.js';

type FieldError = NonNullable<Problem['errors']>[number];

/** Fields of the API whose options have another name. For all others, `optionNames` finds the name. */
const OPTION_NAMES: Readonly<Record<string, string>> = {
  disable_unused_after_days: 'disable-unused',
  expires_at: 'expires',
  expires_in_days: 'expires',
  filter: 'where',
  grace_period_seconds: 'grace',
  max_lifetime_days: 'max-lifetime',
  order: 'oldest-first',
  unused_for_days: 'unused-for',
};

/** Fields that are numbers in the API and durations on the command line. */
const UNITS: Readonly<Record<string, { readonly name: string; readonly seconds: number }>> = {
  disable_unused_after_days: { name: 'days', seconds: 86_400 },
  expires_in_days: { name: 'days', seconds: 86_400 },
  grace_period_seconds: { name: 'seconds', seconds: 1 },
  max_lifetime_days: { name: 'days', seconds: 86_400 },
  unused_for_days: { name: 'days', seconds: 86_400 },
};

/**
 * Tells an error of the API in terms of what the user typed: `--scope "x y": must be …` instead of `body.scopes[0] must
 * be …`. An error in anything else keeps the location of the API.
 */
export function inOptions({ location, message }: FieldError, command: Command): string {
  const [, field, index, rest = ''] = /^(?:body|query|params)\.(\w+)(?:\[(\d+)\])?(?:\.(.+))?$/.exec(location) ?? [];
  if (field === undefined) return `${location} ${message}`;
  const given = optionOf(field, command) ?? argumentOf(field, command);
  if (!given) return `${location} ${message}`;
  const value =
    index !== undefined && Array.isArray(given.value) ? (given.value as unknown[])[Number(index)] : given.value;
  const text = textOf(value, UNITS[field]?.seconds);
  const unit = UNITS[field] && /\d$/.test(message) ? ` ${UNITS[field].name}` : '';
  return [given.name, text, ':', rest && ` ${rest.replaceAll('_', ' ')}`, ` ${message}${unit}`].join('');
}

interface Given {
  readonly name: string;
  readonly value: unknown;
}

function optionOf(field: string, command: Command): Given | undefined {
  const names = optionNames(field);
  const option = command.options.find(({ long, negate }) => !negate && names.includes(long?.slice(2) ?? ''));
  return option && { name: option.long!, value: command.getOptionValue(option.attributeName()) as unknown };
}

/** `--external-id` for `external_id`, `--project` for `project_id`, `--scope` for `scopes`. */
function optionNames(field: string): readonly string[] {
  const name = field.replaceAll('_', '-');
  return [OPTION_NAMES[field] ?? name, name.replace(/-id$/, ''), name.replace(/s$/, '')];
}

/** The argument of that name: `NAME` for `name`. */
function argumentOf(field: string, { registeredArguments, processedArgs }: Command): Given | undefined {
  const place = registeredArguments.findIndex((argument) => argument.name() === field.toUpperCase());
  return place === -1
    ? undefined
    : { name: registeredArguments[place]!.name(), value: processedArgs[place] as unknown };
}

/** The value as it was typed, unless it may be a secret. */
function textOf(value: unknown, seconds: number | undefined): string {
  if (typeof value === 'string') return holdsSecret(value) ? '' : ` ${JSON.stringify(value)}`;
  if (typeof value === 'number') return ` ${seconds === undefined ? value : formatDuration(value * seconds)}`;
  return isRateLimit(value) ? ` ${JSON.stringify(formatRateLimit(value))}` : '';
}

function isRateLimit(value: unknown): value is RateLimit {
  return typeof value === 'object' && value !== null && 'window_seconds' in value;
}
