import type { Command } from 'commander';
import { holdsSecret } from '#libs/api-key-format/search-term.js';
import type { Problem } from '#libs/contract/problem.js';
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

const inDays = (count: number) => `${count}d`;

/** Fields that are numbers in the API and durations on the command line. */
const DURATIONS: Readonly<Record<string, (count: number) => string>> = {
  disable_unused_after_days: inDays,
  expires_in_days: inDays,
  grace_period_seconds: formatDuration,
  max_lifetime_days: inDays,
  unused_for_days: inDays,
};

/** Messages whose terms the command line does not have. */
const MESSAGES: Readonly<Record<string, string>> = {
  'must have an expiry': 'every key of the organization must expire',
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
  const text = textOf(given.typed[Number(index ?? 0)] ?? given.typed[0]);
  return [
    given.name,
    text,
    ':',
    rest && ` ${rest.replaceAll('_', ' ')}`,
    ` ${messageOf(field, message, command)}`,
  ].join('');
}

function messageOf(field: string, message: string, command: Command): string {
  return (MESSAGES[message] ?? message)
    .replace(/`(\w+)`/g, (name, other: string) => optionOf(other, command)?.name ?? name)
    .replace(/\b\d{1,9}$/, (count) => DURATIONS[field]?.(Number(count)) ?? count);
}

interface Given {
  readonly name: string;
  /** One text, or one for each item of a list; none if the value is not one that the user typed. */
  readonly typed: readonly string[];
}

function optionOf(field: string, command: Command): Given | undefined {
  const names = optionNames(field);
  const option = command.options.find(({ long, negate }) => !negate && names.includes(long?.slice(2) ?? ''));
  return option && { name: option.long!, typed: option.required ? typedFor(option.long!, command) : [] };
}

/** The values of the option as they were typed: the library keeps only what was parsed from them. */
function typedFor(name: string, command: Command): string[] {
  if (command.parent) return typedFor(name, command.parent);
  return command.args.flatMap((arg, place, args) => {
    if (arg === name) return args.slice(place + 1, place + 2);
    return arg.startsWith(`${name}=`) ? [arg.slice(name.length + 1)] : [];
  });
}

/** `--external-id` for `external_id`, `--project` for `project_id`, `--scope` for `scopes`. */
function optionNames(field: string): readonly string[] {
  const name = field.replaceAll('_', '-');
  return [OPTION_NAMES[field] ?? name, name.replace(/-id$/, ''), name.replace(/s$/, '')];
}

/** The argument of that name: `NAME` for `name`. */
function argumentOf(field: string, { registeredArguments, args }: Command): Given | undefined {
  const place = registeredArguments.findIndex((argument) => argument.name() === field.toUpperCase());
  return place === -1 ? undefined : { name: registeredArguments[place]!.name(), typed: args.slice(place) };
}

/** The value, unless it may be a secret. Numbers and durations need no quotes. */
function textOf(typed: string | undefined): string {
  if (typed === undefined || holdsSecret(typed)) return '';
  return /^\d+[smhd]?$/.test(typed) ? ` ${typed}` : ` ${JSON.stringify(typed)}`;
}
