import { expect } from '@jest/globals';
import { ApiError } from '#libs/client/client.js';

/** Returns the problem with which a call of the client fails. */
export async function rejection(call: Promise<unknown>): Promise<ApiError> {
  const outcome = await call.then(
    () => 'answered',
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(ApiError);
  return outcome as ApiError;
}

/** Returns only the problem's code. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  return (await rejection(call)).problem.code;
}

/** Returns `done`, or the code of the problem, for calls of which only some succeed. */
export async function outcomeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'done',
    (error: unknown) => {
      if (error instanceof ApiError) return error.problem.code;
      throw error;
    },
  );
}
