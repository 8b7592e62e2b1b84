import { z } from 'zod';

/** Account fields that several routes share. */
export const email = z
  .email('must be an email address')
  .max(254)
  .transform((value) => value.toLowerCase())
  .meta({ examples: ['ada@example.com'] });

export const accountName = z.string().trim().min(1).max(100);

export const PASSWORD_MIN = 12;
export const PASSWORD_MAX = 128;

export const newPassword = z
  .string()
  .min(PASSWORD_MIN, `must have at least ${PASSWORD_MIN} characters`)
  .max(PASSWORD_MAX, `must have at most ${PASSWORD_MAX} characters`);
