import { expect } from '@jest/globals';
import { ApiError } from '#libs/client/client.js';

/** The problem that a call of the client is refused with. */
export async function rejection(call: Promise<unknown>): Promise<ApiError> {
  const outcome = await call.then(
    () => 'answered',
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(ApiError);
  return outcome as ApiError;
}

/** The code alone, where nothing else matters. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  return (await rejection(call)).problem.code;
}

/** `done`, or the code of the problem: for calls of which some are expected to succeed. */
export async function outcomeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'done',
    (error: unknown) => {
      if (error instanceof ApiError) return error.problem.code;
      throw error;
    },
  );
}
