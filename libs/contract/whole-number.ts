import { z } from 'zod';

/** A number in a query or path, which arrives as text. Digits only: JavaScript also accepts `1e1`, `0x10` and ''. */
export function wholeNumber(lowest: number, highest: number) {
  const error = `must be a whole number from ${lowest} to ${highest}`;
  return z.preprocess(
    (given) => (typeof given === 'string' && DIGITS.test(given) ? Number(given) : given),
    z.int(error).min(lowest, error).max(highest, error),
  );
}

const DIGITS = /^(0|[1-9]\d{0,15})$/;
