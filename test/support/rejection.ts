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
