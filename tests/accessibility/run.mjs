// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// node run.mjs <directory with node_modules> <page.html> ...
// Runs axe-core in jsdom over each page and prints {page: {violations: [...], passes: n}} as JSON.
// jsdom lays nothing out, so contrast, target size and reflow are not judged here (README.md says what is).

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, ...pages] = process.argv.slice(2);
const load = createRequire(join(modules, "here.cjs"));
const { JSDOM, VirtualConsole } = load("jsdom");
const { source } = load("axe-core");

const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

async function judge(page) {
  // outside-only: axe runs in the page, a script of the page would not; there must be none anyway.
  // A console of its own keeps quiet about the margin boxes of @page, which jsdom cannot parse.
  const virtualConsole = new VirtualConsole();
  const html = readFileSync(page, "utf-8");
  const dom = new JSDOM(html, { runScripts: "outside-only", pretendToBeVisual: true, virtualConsole });
  dom.window.eval(source);
  const found = await dom.window.axe.run(dom.window.document, {
    runOnly: { type: "tag", values: TAGS },
    rules: { "color-contrast": { enabled: false } },
    resultTypes: ["violations"],
  });
  dom.window.close();
  const violations = found.violations.map(({ id, impact, help, nodes }) => ({
    id,
    impact,
    help,
    nodes: nodes.slice(0, 5).map((node) => node.html.slice(0, 200)),
  }));
  return { violations, passes: found.passes.length };
}

const report = {};
for (const page of pages) report[page] = await judge(page);
process.stdout.write(JSON.stringify(report));
