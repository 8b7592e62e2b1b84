import type { Command } from 'commander';

/** The filters of the audit log, and what each finds. */
export const FILTERS: readonly (readonly [flags: string, what: string])[] = [
  ['type <TYPES>', 'events of these types, such as api_key.used or api_key.*; separate several with commas'],
  ['key <NAME>', 'events about this key, by its name or id'],
  ['actor <NAME>', 'actions of this user or key, by email, name or id'],
  ['subject <NAME>', 'events about this user, key, project or other object, by name or id'],
  ['secret <ID>', 'events about this secret of a key, by its id'],
  ['project <NAME>', 'events about this project and its keys, by its name or id'],
  ['verified-by <NAME>', 'verifications for which this key or user asked, by name or id'],
  ['outcome <CODES>', 'verifications with this outcome: valid, revoked …; separate several with commas'],
  ['ip <ADDRESS>', 'requests from this address or network; summaries of denials have none'],
  ['path <PATH>', 'endpoints whose path begins with this; summaries of denials have none'],
  ['request-id <ID>', 'events that this request caused'],
  ['user-agent <TEXT>', 'requests of clients whose user agent has this text; summaries of denials have none'],
  ['search <TEXT>', 'events with this text in one of their values'],
];

/** The filters by which operators search all audit logs. */
export const QUESTIONS = FILTERS.filter(([flags]) => /^(ip|key|secret|request-id|verified-by) /.test(flags));

export function withOptions(command: Command, filters: typeof FILTERS): Command {
  for (const [flags, what] of filters) command.option(`--${flags}`, `only ${what}`);
  return command;
}
