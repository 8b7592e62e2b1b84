import { InvalidArgumentError, Option, type Command } from 'commander';
import type { RateLimit } from '#libs/contract/rate-limits.js';
import { secondsOf } from './durations.js';
import { rateLimitOf } from './rate-limit.js';
import { comingMomentOf, momentOf } from './times.js';

const DAY_SECONDS = 86_400;

/** Adds a group of commands. Each command explains itself with `--help`, so the group needs no `help` command. */
export function group(program: Command, name: string, description: string): Command {
  return program.command(name).description(description).usage('COMMAND [OPTIONS]').helpCommand(false);
}

/** Adds a command about one key, or about several by their names or by conditions. */
export function ofKeys(commands: Command, name: string, description: string): Command {
  return commands
    .command(name)
    .description(description)
    .argument('[KEY...]', 'the id of the key, or its name; several change together, after a preview')
    .addOption(organizationOption('where the keys are (default: for one key everywhere, or as `keyledger use` says)'))
    .addOption(yesOption())
    .addOption(
      new Option('--dry-run', 'only show which keys would change, and how often they were used in the last day'),
    )
    .addOption(jsonOption());
}

/** Adds a command about one object, which its argument names. */
export function ofOne(commands: Command, what: 'key' | 'project', name: string, description: string): Command {
  return commands
    .command(name)
    .description(description)
    .argument(`<${what.toUpperCase()}>`, `the id of the ${what}, or its name`)
    .addOption(organizationOption('where to look for the name (default: everywhere, or as `keyledger use` says)'))
    .addOption(jsonOption());
}

/**
 * Turns an error of the API into a sentence about the options of the command, which is the last argument. The table of
 * these sentences is loaded only if there is an error.
 */
export function remote<Args extends unknown[]>(
  run: (...args: Args) => Promise<void>,
): (...args: Args) => Promise<void> {
  return async (...args) => {
    try {
      await run(...args);
    } catch (error) {
      const { failureOf } = await import('./failures.js');
      throw failureOf(error, args.at(-1) as Command);
    }
  };
}

export function withTimes(command: Command): Command {
  return command
    .option('--from <TIME>', 'at or after this time: 2026-01-31, 2026-01-31T09:30, or an age: 30m, 12h, 7d', moment)
    .option('--to <TIME>', 'before this time', moment);
}

export function withPages(command: Command, what: string): Command {
  return command
    .option('--limit <COUNT>', `how many ${what} to show, up to 100 (default: 50)`, wholeNumber)
    .option('--cursor <CURSOR>', 'continue after an earlier response: its `next_cursor`')
    .addOption(new Option('--all', `all ${what}`).conflicts('limit'))
    .addOption(jsonOption());
}

/** All values of a union type of the contract. `--help` does not have to load the contract for them. */
export function valuesOf<Value extends string>(values: Record<Value, true>): Value[] {
  return Object.keys(values) as Value[];
}

export function choice(flags: string, description: string, values: string[]): Option {
  return new Option(flags, description).choices(values);
}

export function jsonOption(description = "print the server's response, for programs"): Option {
  return new Option('--json', description);
}

export function organizationOption(description = 'only of this organization'): Option {
  return new Option('--organization <NAME>', `${description}, by its name or id`);
}

export function projectOption(description = 'only of this project'): Option {
  return new Option('--project <NAME>', `${description}, by its name or id`);
}

/** For lists of several organizations. */
export function allOrganizationsOption(): Option {
  return new Option('--all-organizations', 'of every organization that you may read').conflicts('organization');
}

export function yesOption(): Option {
  return new Option('--yes', 'do not ask; required without a terminal');
}

/** `before` is false after the opposite of the option, which removes all entries of the list. */
export function collect(value: string, before: string[] | false = []): string[] {
  return [...(before || []), value];
}

export function collectRateLimit(text: string, before: RateLimit[] | false = []): RateLimit[] {
  const limit = rateLimitOf(text);
  if (limit) return [...(before || []), limit];
  throw new InvalidArgumentError(
    'It must be a name, a number of units and a time, such as per-minute=100/60s or per-day=5000/1d.',
  );
}

export function wholeNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number.');
}

/** Seconds; `none` is 0. */
export function durationOrNone(text: string): number {
  const seconds = text === 'none' ? 0 : secondsOf(text);
  if (seconds !== undefined) return seconds;
  throw new InvalidArgumentError('It must be a duration such as 30m, 24h or 7d, or none.');
}

/** Seconds. */
export function duration(text: string): number {
  const seconds = secondsOf(text);
  if (seconds !== undefined) return seconds;
  throw new InvalidArgumentError('It must be a duration such as 60s or 5m.');
}

/** Whole days, which is what the API takes. */
export function days(text: string): number {
  const count = daysOf(text);
  if (count !== undefined) return count;
  throw new InvalidArgumentError('It must be a number of days, such as 30d.');
}

/** Whole days, or `none`. */
export function daysOrNone(text: string): number | 'none' {
  const count = text === 'none' ? text : daysOf(text);
  if (count !== undefined) return count;
  throw new InvalidArgumentError('It must be a number of days, such as 90d, or none.');
}

/** Whole days, or `never`. The library would turn null into an empty text. */
export function daysOrNever(text: string): number | 'never' {
  const count = text === 'never' ? text : daysOf(text);
  if (count !== undefined) return count;
  throw new InvalidArgumentError('It must be a number of days, such as 30d, or never.');
}

/** The time of an expiry, or `never`. */
export function expiry(text: string): string {
  const iso = text === 'never' ? text : comingMomentOf(text, new Date());
  if (iso) return iso;
  throw new InvalidArgumentError('It must be a time such as 2026-01-31 or 30d (from now), or never.');
}

function daysOf(text: string): number | undefined {
  const count = (secondsOf(text) ?? NaN) / DAY_SECONDS;
  return Number.isInteger(count) ? count : undefined;
}

function moment(text: string): string {
  const iso = momentOf(text, new Date());
  if (iso) return iso;
  throw new InvalidArgumentError('It must be a time such as 2026-01-31, 2026-01-31T09:30 or 12h (ago).');
}
