import type { Command } from 'commander';

/** The filters of the audit log, and what each finds. */
export const FILTERS: readonly (readonly [flags: string, what: string])[] = [
  ['type <TYPES>', 'events of these types, such as api_key.used or api_key.*; separate several with commas'],
  ['key <ID>', 'events about this key'],
  ['actor <ID>', 'actions of this user or key'],
  ['subject <ID>', 'events about this user, key, project or other object'],
  ['secret <ID>', 'events about this secret of a key, by its id'],
  ['project <ID>', 'events about this project and its keys'],
  ['verified-by <ID>', 'verifications for which this key or user asked'],
  ['outcome <CODES>', 'verifications with this outcome: valid, revoked …; separate several with commas'],
  ['ip <ADDRESS>', 'requests from this address or network; summaries of denials have none'],
  ['path <PATH>', 'endpoints whose path begins with this; summaries of denials have none'],
  ['request-id <ID>', 'events that this request caused'],
];

/** The filters by which operators search all audit logs. */
export const QUESTIONS = FILTERS.filter(([flags]) => /^(ip|key|secret|request-id|verified-by) /.test(flags));

export function withOptions(command: Command, filters: typeof FILTERS): Command {
  for (const [flags, what] of filters) command.option(`--${flags}`, `only ${what}`);
  return command;
}
