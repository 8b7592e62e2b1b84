/** What the commands end with beside 0 and the settings' own `EXIT_CONFIG`; the names are those of sysexits.h. */

/** The server refused it, or whoever was asked at a question did. */
export const EXIT_REFUSED = 1;
export const EXIT_USAGE = 64;
/** No server that the program understands responds. */
export const EXIT_UNAVAILABLE = 69;
/** What was made out could not be written. */
export const EXIT_OUTPUT = 74;
/** There is no credential, or it is not good any more. */
export const EXIT_NOT_SIGNED_IN = 77;
/** As a shell says it of what Ctrl-C ended. */
export const EXIT_INTERRUPTED = 130;
