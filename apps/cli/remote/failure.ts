/** Ends a command with one sentence on stderr that says what to do, without a stack trace. */
export class Failure extends Error {
  override readonly name = 'Failure';

  constructor(
    message: string,
    readonly exitCode: number,
  ) {
    super(message);
  }
}
