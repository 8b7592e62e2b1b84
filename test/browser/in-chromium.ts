import { describe } from '@jest/globals';
import { builtModule } from '../support/built-module.js';
import { leftOut } from '../support/left-out.js';

/** Playwright takes twice the time in Jest's VM, so it is loaded outside of the VM, once for each Jest worker. */
export const { findChromium, launchChromium, waitFinely } =
  await builtModule<typeof import('./chromium.js')>('../browser/chromium.ts');

/** `describe` if there is a browser. Otherwise the tests are skipped, and the run says so. */
export const inChromium = findChromium() ? describe : leaveOut();

function leaveOut(): typeof describe.skip {
  leftOut('the browser needs Chromium', 'install chromium, or set CHROMIUM_PATH');
  return describe.skip;
}
