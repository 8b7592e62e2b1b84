/** Builds LIKE patterns with user input escaped. */
export function containing(text: string): string {
  return `%${exactly(text)}%`;
}

export function beginningWith(text: string): string {
  return `${exactly(text)}%`;
}

export function exactly(text: string): string {
  return text.replace(/[\\%_]/g, '\\$&');
}
