/**
 * A manual page of one of our own generated reference pages. They have headings, paragraphs, lists, tables and blocks
 * of code, and nothing else of Markdown.
 */
export function manPage(
  markdown: string,
  page: { readonly name: string; readonly section: number; readonly date: string; readonly version: string },
): string {
  const { name, section, date, version } = page;
  const lines: string[] = [
    `.TH ${name.toUpperCase()} ${section} ${date} "MicroCeph Mesh ${version}" "MicroCeph Mesh"`,
  ];
  let inCode = false;
  for (const line of markdown.split("\n")) {
    if (line.startsWith("```")) {
      lines.push(inCode ? ".fi" : ".PP\n.nf");
      inCode = !inCode;
      continue;
    }
    if (inCode) {
      lines.push(plain(line));
      continue;
    }
    if (line.startsWith("<!--") || /^\|[ :|-]+\|$/.test(line)) continue;
    const heading = /^(#+) (.*)$/.exec(line);
    const item = /^- (`[^`]+`): (.*)$/.exec(line);
    const cells = /^\| (.*) \|$/.exec(line)?.[1]?.split(" | ");
    if (heading?.[1] === "#") lines.push(".SH NAME", `${name} \\- MicroCeph Mesh`, ".SH DESCRIPTION");
    else if (heading) lines.push(`.SH ${inline(heading[2] ?? "")}`);
    else if (item) lines.push(".TP", inline(item[1] ?? ""), inline(item[2] ?? ""));
    else if (cells) lines.push(".TP", inline(cells[0] ?? ""), inline(cells.slice(1).join(", ")));
    else if (line === "") lines.push(".PP");
    else lines.push(inline(line));
  }
  return `${lines.join("\n").replace(/(\.PP\n)+/g, ".PP\n")}\n`;
}

/** Code in bold, links as their text. */
function inline(text: string): string {
  const linked = text.replace(/\[([^\]]+)\]\([^)]+\)/g, "$1").replace(/\*\*([^*]+)\*\*/g, "$1");
  return linked
    .split("`")
    .map((part, index) => (index % 2 === 1 ? `\\fB${escaped(part)}\\fR` : escaped(part)))
    .join("")
    .replace(/^([.'])/, "\\&$1");
}

function plain(line: string): string {
  return escaped(line).replace(/^([.'])/, "\\&$1");
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll("-", "\\-");
}
