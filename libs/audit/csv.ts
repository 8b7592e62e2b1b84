/** A line of CSV (RFC 4180), ended by CR LF. */
export function csvLine(cells: readonly string[]): string {
  return `${cells.map(cell).join(',')}\r\n`;
}

function cell(text: string): string {
  const harmless = FORMULA.test(text) ? `'${text}` : text;
  return QUOTED.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

/** What a spreadsheet would take for a formula, and run: somebody who only sends a header must not get that far. */
const FORMULA = /^[=+\-@\t\r]/;
const QUOTED = /[",\r\n]/;
