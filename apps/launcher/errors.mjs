/** A problem that the user can solve. The message is one sentence that says how. */
export class SetupError extends Error {
  name = 'SetupError';
}
