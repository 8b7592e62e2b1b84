/** The rows of the first table in a Markdown text, without its head. */
export function firstTable(markdown: string): string[][] {
  const [, rows] = /^\|.*\n\| -.*\n((?:\|.*\n)+)/m.exec(markdown)!;
  return rows!
    .trim()
    .split('\n')
    .map((row) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}
