import { describe } from '@jest/globals';
import { leftOut } from '../support/left-out.js';
import { findChromium } from './chromium.js';

/** `describe` where there is a browser; elsewhere the tests are left out, and the run says so. */
export const inChromium = findChromium() ? describe : leaveOut();

function leaveOut(): typeof describe.skip {
  leftOut('the browser needs Chromium', 'install chromium, or set CHROMIUM_PATH');
  return describe.skip;
}
