// Turns what a terminal showed (text with SGR colours, on standard input) into an SVG picture:
//   … | sh scripts/run.sh scripts/terminal-picture.ts "microceph mesh status" > docs/images/mesh-status.svg

const columnWidth = 8.43;
const lineHeight = 19;
const margin = 16;
const titleHeight = 36;
const colours: Readonly<Record<string, string>> = {
  31: "#ff7b72",
  32: "#7ee787",
  33: "#e3b341",
  34: "#79c0ff",
  35: "#d2a8ff",
  36: "#76e3ea",
  90: "#8b949e",
};

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** One line as SVG spans; escape sequences other than colours are dropped. */
function spans(line: string): string {
  let colour = "";
  let weight = "";
  let dim = "";
  let out = "";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
  for (const part of line.split(/(\u001b\[[0-9;]*m)/)) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
    const codes = /^\u001b\[([0-9;]*)m$/.exec(part)?.[1];
    if (codes === undefined) {
      if (part !== "") out += `<tspan${colour}${weight}${dim}>${escaped(part)}</tspan>`;
      continue;
    }
    for (const code of codes === "" ? ["0"] : codes.split(";")) {
      if (code === "0") colour = weight = dim = "";
      else if (code === "1") weight = ' font-weight="bold"';
      else if (code === "2") dim = ' opacity="0.65"';
      else if (code === "22") weight = dim = "";
      else if (code === "39") colour = "";
      else if (colours[code]) colour = ` fill="${colours[code]}"`;
    }
  }
  return out;
}

function picture(title: string, text: string): string {
  const lines = text.replace(/\s+$/, "").split("\n");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
  const widths = lines.map((line) => line.replace(/\u001b\[[0-9;]*m/g, "").length);
  const width = Math.ceil(Math.max(...widths) * columnWidth + 2 * margin);
  const height = titleHeight + lines.length * lineHeight + margin;
  const rows = lines.map(
    (line, n) =>
      `<text x="${margin}" y="${titleHeight + (n + 0.8) * lineHeight}" xml:space="preserve">${spans(line)}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" role="img" aria-label="${escaped(title)}">
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<circle cx="20" cy="18" r="6" fill="#ff5f57"/><circle cx="40" cy="18" r="6" fill="#febc2e"/><circle cx="60" cy="18" r="6" fill="#28c840"/>
<g font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="14" fill="#e6edf3">
<text x="50%" y="23" text-anchor="middle" fill="#8b949e">${escaped(title)}</text>
${rows.join("\n")}
</g>
</svg>
`;
}

let input = "";
process.stdin.setEncoding("utf8");
for await (const chunk of process.stdin) input += chunk;
process.stdout.write(picture(process.argv[2] ?? "", input.replaceAll("\r", "")));
