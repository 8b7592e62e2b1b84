/** Ends a command with one sentence on stderr, and without a stack: it says what to do. */
export class Failure extends Error {
  override readonly name = 'Failure';

  constructor(
    message: string,
    readonly exitCode: number,
  ) {
    super(message);
  }
}
