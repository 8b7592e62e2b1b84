/** The exit codes of the commands besides 0 and `EXIT_CONFIG` of the settings. The names are those of sysexits.h. */

/** The server rejected the request, or the user answered no. */
export const EXIT_REFUSED = 1;
/** What was checked is right, but not everything could be checked. */
export const EXIT_INCOMPLETE = 2;
export const EXIT_USAGE = 64;
/** No server responds, or the response is not one that the program understands. */
export const EXIT_UNAVAILABLE = 69;
/** The output could not be written. */
export const EXIT_OUTPUT = 74;
/** There is no credential, or it is no longer valid. */
export const EXIT_NOT_SIGNED_IN = 77;
/** The exit code that shells report after Ctrl-C. */
export const EXIT_INTERRUPTED = 130;
