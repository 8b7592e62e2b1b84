import { setNonce } from 'get-nonce';
import { z } from 'zod';

/** What the style elements of this page need. Browsers hide it from selectors, so no style sheet can leak it. */
export const nonce = document.querySelector<HTMLMetaElement>('meta[property=csp-nonce]')?.nonce ?? '';

/** For the library that keeps the page behind a dialog from scrolling. */
setNonce(nonce);

/** Compiling schemas to functions is what the policy forbids. */
z.config({ jitless: true });
