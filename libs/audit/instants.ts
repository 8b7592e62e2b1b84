/** SQL: a column of times, in whole milliseconds since 1970. Events have no finer times, which `Date.parse` would cut off. */
export function msOf(column: string): string {
  return `floor(extract(epoch FROM ${column}) * 1000)::float8 AS ${column}`;
}

/** The same without cutting off anything, to compare what is stored with what should be. */
export function exactMsOf(column: string): string {
  return `(extract(epoch FROM ${column}) * 1000)::float8 AS ${column}`;
}
