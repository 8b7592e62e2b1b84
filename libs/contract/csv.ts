/** A line of CSV (RFC 4180), with CR LF. */
export function csvLine(cells: readonly string[]): string {
  return `${cells.map(cell).join(',')}\r\n`;
}

function cell(text: string): string {
  const harmless = isFormula(text) ? `'${text}` : text;
  return QUOTED.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

/**
 * Whether a spreadsheet may run the cell as a formula (OWASP, "CSV Injection"). Spreadsheets skip blanks, control
 * characters and invisible characters before a sign, and read full-width and small signs as the ASCII ones.
 */
function isFormula(text: string): boolean {
  return STARTS_A_LINE.test(text) || SIGN.test(text.replace(SKIPPED, '').slice(0, 1).normalize('NFKC'));
}

const STARTS_A_LINE = /^[\t\r\n\v\f\u0085\u2028\u2029]/;
/** U+2800, a Braille cell without dots, is a symbol to Unicode and a blank to readers. */
const SKIPPED = /^[\s\p{Cc}\p{Cf}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]+/u;
const SIGN = /^[=+\-@\u2212]/;
/** Includes the separators of other locales, so that a cell never becomes two. */
const QUOTED = /[",;\t\r\n]/;
