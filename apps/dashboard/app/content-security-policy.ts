import { setNonce } from 'get-nonce';
import { z } from 'zod';

/** The nonce for style elements. Browsers hide it from CSS selectors, so that no style sheet can leak it. */
export const nonce = document.querySelector<HTMLMetaElement>('meta[property=csp-nonce]')?.nonce ?? '';

/** For the library that stops the page behind a dialog from scrolling. */
setNonce(nonce);

/** zod must not compile schemas to functions: the content security policy forbids `eval`. */
z.config({ jitless: true });
