import type { Paint, Style } from "./paint.ts";

export interface Cell {
  readonly text: string;
  readonly style?: Style;
}

/** Columns and rows, for whatever draws them. */
export interface Table {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

function widths(rows: readonly (readonly string[])[]): number[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  return Array.from({ length: columns }, (_, column) =>
    Math.max(0, ...rows.map((row) => length(row[column] ?? ""))),
  );
}

function length(text: string): number {
  return [...text].length;
}

function padded(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - length(text)));
}

function centred(text: string, width: number): string {
  const gap = Math.max(0, width - length(text));
  const left = Math.floor(gap / 2);
  return " ".repeat(left) + text + " ".repeat(gap - left);
}

/** The table of LXD and MicroCeph: lines around every row, headers in the middle. */
export function borderedTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const columns = widths([header, ...rows]);
  const line = `+${columns.map((width) => "-".repeat(width + 2)).join("+")}+`;
  const row = (cells: readonly string[], place: (text: string, width: number) => string): string =>
    `|${columns.map((width, column) => ` ${place(cells[column] ?? "", width)} `).join("|")}|`;
  return [line, row(header, centred), line, ...rows.flatMap((cells) => [row(cells, padded), line]), ""].join(
    "\n",
  );
}

/** LXD's `compact`: the same columns without lines. */
export function compactTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const columns = widths([header, ...rows]);
  const row = (cells: readonly string[]): string =>
    `  ${columns.map((width, column) => padded(cells[column] ?? "", width)).join("  ")}`.trimEnd();
  return `${[header, ...rows].map(row).join("\n")}\n`;
}

/** LXD's `csv`: rows without header, quoted where needed (RFC 4180). */
export function csvTable(rows: readonly (readonly string[])[]): string {
  const cell = (text: string): string => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return rows.map((row) => `${row.map(cell).join(",")}\n`).join("");
}

/** Columns apart by two blanks under a quiet header; a column that is empty in every row is left out. */
export function alignedTable(
  header: readonly string[],
  rows: readonly (readonly Cell[])[],
  paint: Paint,
  indent = "  ",
): string {
  const used = header.map((_, column) => rows.some((row) => (row[column]?.text ?? "") !== ""));
  const kept = <T>(row: readonly T[]): T[] => row.filter((_, column) => used[column]);
  const lines = [kept(header).map((text): Cell => ({ text, style: "dim" })), ...rows.map(kept)];
  const columns = widths(lines.map((row) => row.map(({ text }) => text || "-")));
  return lines
    .map((row) => {
      const cells = row.map(({ text, style }, column) => {
        const shown = text || "-";
        // The last column needs no padding; the blanks of the others stay unpainted.
        const blanks =
          column === row.length - 1 ? "" : padded(shown, columns[column] ?? 0).slice(shown.length);
        return (style ? paint(style, shown) : shown) + blanks;
      });
      return `${indent}${cells.join("  ")}\n`;
    })
    .join("");
}
