/** Something that the user can mend. The message is one sentence with the way out. */
export class SetupError extends Error {
  name = 'SetupError';
}
