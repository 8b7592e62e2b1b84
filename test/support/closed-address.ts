/**
 * An address at which nothing listens. A port that was just free is no such address: another test may take it. `freePort`
 * and the operating system choose none below 1024.
 */
export const CLOSED_ADDRESS = 'http://127.0.0.1:2';
