// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// node run.mjs <directory with node_modules> <path of chromium> <pages.json>
// pages.json: [{"name", "path", "looks": ["light", "dark", "print"], "script": true, "picture": path or absent}, ...]
// Opens each page in Chromium, runs axe-core (WCAG 2.0 to 2.2, A and AA, and best practices) in each look, and tells of
// the page's width at 320 CSS pixels, of what its script offers and leaves out, and how long it took to open:
// {name: {violations: {look: [...]}, passes, sideways, rows, filters, filtered, milliseconds}} as JSON.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, executablePath, list] = process.argv.slice(2);
const load = createRequire(join(modules, "here.cjs"));
const puppeteer = load("puppeteer-core");
const axe = readFileSync(load.resolve("axe-core/axe.min.js"), "utf-8");

const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

async function look(tab, which) {
  await tab.emulateMediaType(which === "print" ? "print" : "screen");
  await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: which === "dark" ? "dark" : "light" }]);
}

// The page's own policy lets no other script in, so axe is evaluated by the debugger and not as an element.
async function judge(tab) {
  await tab.evaluate(axe);
  return tab.evaluate(async (tags) => {
    const found = await window.axe.run(document, {
      runOnly: { type: "tag", values: tags }, rules: { "target-size": { enabled: true } }, resultTypes: ["violations"],
    });
    const short = ({ id, impact, help, nodes }) =>
      ({ id, impact, help, nodes: nodes.slice(0, 5).map((node) => node.html.slice(0, 200)) });
    return { violations: found.violations.map(short), passes: found.passes.length };
  }, TAGS);
}

async function narrow(tab) {
  await tab.setViewport({ width: 320, height: 640 });
  return tab.evaluate(() => document.scrollingElement.scrollWidth - document.documentElement.clientWidth);
}

// Types a word that no row has, then nothing: all rows are gone, then all are back.
async function filtered(tab) {
  const shown = () => tab.evaluate(() => document.querySelectorAll("tbody tr:not([hidden])").length);
  const all = await shown();
  const field = await tab.$(".filter input");
  if (!field) return null;
  await field.type("no row has this word");
  const fewer = await shown();
  await field.evaluate((input) => { input.value = ""; input.dispatchEvent(new Event("input")); });
  return { all, fewer, back: await shown() };
}

async function visit(browser, { name, path, looks, script, picture }) {
  const tab = await browser.newPage();
  await tab.setJavaScriptEnabled(script);
  await tab.setViewport({ width: 1280, height: 900 });
  const outside = [];
  tab.on("request", (request) => { if (!/^(file|data):/.test(request.url())) outside.push(request.url()); });
  const complaints = [];
  tab.on("console", (message) => { if (message.type() === "error") complaints.push(message.text()); });
  const started = Date.now();
  await tab.goto(pathToFileURL(path).href, { waitUntil: "load" });
  const milliseconds = Date.now() - started;
  const result = { violations: {}, passes: 0, milliseconds, outside, complaints };
  result.rows = await tab.evaluate(() => document.querySelectorAll("tbody tr").length);
  result.filters = await tab.evaluate(() => document.querySelectorAll(".filter").length);
  for (const which of looks) {
    await look(tab, which);
    const { violations, passes } = await judge(tab);
    result.violations[which] = violations;
    result.passes = passes;
  }
  await look(tab, "light");
  result.filtered = script ? await filtered(tab) : null;
  result.sideways = await narrow(tab);
  if (picture) {
    for (const [kind, width] of [["phone", 390], ["laptop", 1280]]) {
      await tab.setViewport({ width, height: 900 });
      await tab.screenshot({ path: `${picture}-${kind}.png`, fullPage: true });
    }
    await look(tab, "dark");
    await tab.screenshot({ path: `${picture}-dark.png`, fullPage: true });
    await look(tab, "light");
    await tab.pdf({ path: `${picture}.pdf`, preferCSSPageSize: true, printBackground: false });
  }
  await tab.close();
  return [name, result];
}

const browser = await puppeteer.launch({ executablePath, headless: true, args: FLAGS });
const report = {};
try {
  for (const page of JSON.parse(readFileSync(list, "utf-8"))) {
    const [name, result] = await visit(browser, page);
    report[name] = result;
  }
} finally {
  await browser.close();
}
process.stdout.write(JSON.stringify(report));
