// Fails when a link in a Markdown file leads to a file or heading of this repository that does not exist.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** What a heading is linked by: lower case, punctuation dropped, spaces as hyphens. */
function anchorOf(heading) {
  return heading
    .replace(/`|\*|\[([^\]]*)\]\([^)]*\)/g, (_, text) => text ?? "")
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replace(/\s/g, "-");
}

/** The lines of a Markdown file outside code blocks. */
function prose(path) {
  let inCode = false;
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => {
      const isFence = /^\s*(```|~~~)/.test(line);
      if (isFence) {
        inCode = !inCode;
      }
      return !isFence && !inCode;
    });
}

function anchorsOf(path) {
  const seen = new Map();
  return new Set(
    prose(path)
      .map((line) => /^#{1,6}\s+(.*)$/.exec(line)?.[1])
      .filter((heading) => heading !== undefined)
      .map((heading) => {
        const anchor = anchorOf(heading);
        const count = seen.get(anchor) ?? 0;
        seen.set(anchor, count + 1);
        return count === 0 ? anchor : `${anchor}-${count}`;
      }),
  );
}

const files = execFileSync("git", ["ls-files", "*.md"], { encoding: "utf8" }).split("\n").filter(existsSync);
const problems = [];
let links = 0;
for (const file of files) {
  for (const line of prose(file)) {
    for (const [, target] of line.replace(/`[^`]*`/g, "").matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)) {
      if (/^[a-z][a-z0-9+.-]*:/i.test(target)) {
        continue;
      }
      links += 1;
      const [path, anchor] = target.split("#");
      const linked = path === "" ? file : normalize(join(dirname(file), decodeURI(path)));
      if (!existsSync(linked)) {
        problems.push(`${file}: ${target} does not exist`);
      } else if (anchor && linked.endsWith(".md") && statSync(linked).isFile() && !anchorsOf(linked).has(anchor)) {
        problems.push(`${file}: ${target} names no heading`);
      }
    }
  }
}
if (files.length === 0) {
  problems.push("no Markdown file was found");
}
for (const problem of problems) {
  console.error(problem);
}
console.log(`${links} links in ${files.length} documents, ${problems.length} broken`);
process.exit(problems.length === 0 ? 0 : 1);
