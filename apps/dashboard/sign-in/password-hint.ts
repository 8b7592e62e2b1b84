import { PASSWORD_MIN } from '#libs/contract/accounts.js';

export const PASSWORD_HINT = `At least ${PASSWORD_MIN} characters. Several unrelated words are hard to guess and easy to remember.`;
