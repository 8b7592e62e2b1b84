import { z } from 'zod';
import { mapKeyTexts } from './api-key-texts.js';

/** As callers send them. Null removes a text. */
export const keyTextInputs = mapKeyTexts((_name, { hint, minLength, maxLength }) =>
  z.string().trim().min(minLength).max(maxLength).nullable().meta({ description: hint }),
);

/** As responses and events have them. */
export const keyTextOutputs = mapKeyTexts(() => z.string().nullable());
