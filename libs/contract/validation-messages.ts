import type { z } from 'zod';

type Issue = z.core.$ZodRawIssue;

const or = new Intl.ListFormat('en', { type: 'disjunction' });

const types: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
  null: 'null',
};

const formats: Readonly<Record<string, string>> = {
  email: 'must be an email address',
  url: 'must be a URL, such as https://example.com/',
  datetime: 'must be an instant, such as 2026-03-01T12:00:00Z',
  date: 'must be a date, such as 2026-03-01',
  base64: 'must be text in Base64',
  uuid: 'must be a UUID',
};

/**
 * What is wrong with a value, as a predicate whose subject is the place or the label of the value: `body.name must have
 * at most 100 characters`. Clients show it to people, so it has no words of zod.
 */
export function validationMessage(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is required' : `must be ${types[issue.expected] ?? 'another kind of value'}`;
    case 'invalid_value':
      return issue.input === undefined ? 'is required' : `must be ${or.format(issue.values.map(String))}`;
    case 'too_big':
      return sizeMessage(issue.origin, issue.maximum, 'at most', issue.inclusive === false ? 'less than' : 'at most');
    case 'too_small':
      if (issue.origin === 'string' && Number(issue.minimum) === 1) return 'must not be empty';
      return sizeMessage(issue.origin, issue.minimum, 'at least', issue.inclusive === false ? 'more than' : 'at least');
    case 'invalid_format':
      return formats[issue.format] ?? 'does not have the right format';
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`;
    case 'unrecognized_keys':
      return `must not have ${issue.keys.join(', ')}`;
    case 'invalid_union':
      return unionMessage(issue);
    case 'invalid_key':
      return 'has an entry whose name is not allowed';
    case 'invalid_element':
      return 'has an entry that is not allowed';
    default:
      return 'is not valid';
  }
}

/** @param count how a number of parts is compared @param value how a number itself is compared */
function sizeMessage(origin: string, limit: number | bigint, count: string, value: string): string {
  const plural = Number(limit) === 1 ? '' : 's';
  if (origin === 'string') return `must have ${count} ${limit} character${plural}`;
  if (origin === 'array' || origin === 'set') return `must have ${count} ${limit} entr${plural ? 'ies' : 'y'}`;
  return `must be ${value} ${limit}`;
}

/** Joins what each alternative expects. A fault within an alternative cannot be told without knowing which was meant. */
function unionMessage(issue: Issue & { code: 'invalid_union' }): string {
  if (issue.input === undefined) return 'is required';
  const wanted = issue.errors.flatMap((alternative) => {
    const [first] = alternative;
    return first?.path.length === 0 && first.message.startsWith('must be ') ? [first.message.slice(8)] : [];
  });
  return wanted.length === 0 ? 'has none of the allowed forms' : `must be ${or.format(new Set(wanted))}`;
}
