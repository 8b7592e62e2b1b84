/** A problem that the user can solve. The message is one sentence that says how. */
export class SetupError extends Error {
  name = 'SetupError';
}

/** Any other error is a bug and keeps its stack trace. */
export function explain(error) {
  return error.name === 'SetupError' ? error.message : error.stack;
}
