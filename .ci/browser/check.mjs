// Looks at a report in headless Chromium, as its readers would, and ends with an error
// when something is wrong:
//
//	node check.mjs [--screenshots FOLDER] [--plan FILE] NAME PAGE NEEDLE
//
// NAME says in the output which page it is, PAGE is the file, and NEEDLE a word that
// exactly one tag of it has. With --plan tags can be selected for a plan, which is saved as
// FILE, and what was selected as FILE.selected; without it nothing can be.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const { values, positionals } = parseArgs({
	allowPositionals: true,
	options: { chromium: { type: "string", default: "/usr/bin/chromium" }, screenshots: { type: "string" }, plan: { type: "string" } },
});
const [name, file, needle] = positionals;
assert(name && file && needle, "usage: node check.mjs [--screenshots FOLDER] NAME PAGE NEEDLE");
const address = pathToFileURL(resolve(file)).href;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

// Generous: the point is that no step takes time that grows with the square of the rows.
const FIRST_LOOK_MS = 15_000, STEP_MS = 3_000;
const MOST_DRAWN = 80;

const widths = [1280, 390];
const schemes = ["light", "dark"];
const checks = [];
const done = (what) => {
	checks.push(what);
	console.log(`  ${name}: ${what}`);
};

const browser = await chromium.launch({
	executablePath: values.chromium,
	args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
	for (const width of widths) {
		for (const scheme of schemes) await look(width, scheme);
	}
	await print();
	await withoutScript();
} finally {
	await browser.close();
}
const expected = widths.length * schemes.length * (values.plan ? 7 : 6) + 3;
assert.equal(checks.length, expected, `${checks.length} of ${expected} checks were made`);
console.log(`${name}: ${checks.length} checks passed`);

// visit opens the page and watches for what it must not do. Its own policy stays in
// force: nothing here switches it off.
async function visit(settings, use) {
	const context = await browser.newContext(settings);
	const page = await context.newPage();
	const wrong = [];
	page.on("console", (message) => {
		if (["error", "warning"].includes(message.type())) wrong.push(`console: ${message.text()}`);
	});
	page.on("pageerror", (error) => wrong.push(`script: ${error}`));
	page.on("dialog", (dialog) => wrong.push(`dialog: ${dialog.message()}`));
	page.on("request", (request) => {
		if (request.url() !== address) wrong.push(`request: ${request.url()}`);
	});
	const started = performance.now();
	await page.goto(address);
	await use(page, started);
	assert.deepEqual(wrong, [], `${name}: the page did what it must not`);
	await context.close();
}

async function look(width, scheme) {
	const where = `${scheme}, ${width} px`;
	await visit({ viewport: { width, height: 900 }, colorScheme: scheme }, async (page, started) => {
		await page.locator("#view tr.row").first().waitFor();
		const first = within(started, FIRST_LOOK_MS, "the first rows");
		assert.equal(await page.evaluate(() => window.attacked), undefined, "a name became a script");
		assert.equal(await page.evaluate(() => document.querySelectorAll("img, iframe, link, object, embed, base, a").length), 0, "a name became an element");
		assert.equal(await page.evaluate(() => document.scripts.length), 1, "there are scripts that are not ours");
		done(`${where}: opened in ${first} ms, names are text`);

		const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
		assert(overflow <= 0, `the page is ${overflow} px wider than the screen`);
		done(`${where}: nothing is wider than the screen`);

		await picture(page, `${name}-${scheme}-${width}`);
		await accessible(page, where);
		await scroll(page, where);
		await search(page, where);
		await sort(page, where, `${name}-${scheme}-${width}`);
		if (values.plan) await choose(page, where, `${name}-${scheme}-${width}`);
		else assert.equal(await page.locator("#selection, input[type=checkbox]").count(), 0, "tags can be selected of a run without a plan");
	});
}

async function accessible(page, where) {
	// The page forbids scripts from elsewhere; the debugger's are not bound by that.
	await page.evaluate(axe);
	await page.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
	const { violations, passes } = await page.evaluate(() => axe.run(document));
	const serious = violations.filter((v) => ["serious", "critical"].includes(v.impact));
	assert.deepEqual(serious.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html).join(" ")}`), []);
	assert(passes.some((p) => p.id === "color-contrast"), "axe did not check contrasts");
	await page.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = false; }));
	const others = violations.map((v) => v.id).join(", ") || "none";
	done(`${where}: axe passed ${passes.length} rules, no serious violation (others: ${others})`);
}

async function scroll(page, where) {
	const total = Number(await page.locator("#view table").getAttribute("aria-rowcount")) - 1;
	const started = performance.now();
	await page.evaluate(() => { const view = document.getElementById("view"); view.scrollTop = view.scrollHeight; });
	await page.locator(`#view tr.row[aria-rowindex="${total + 1}"]`).waitFor();
	const took = within(started, STEP_MS, "scrolling to the end");
	const drawn = await page.locator("#view tr.row").count();
	assert(drawn > 0 && drawn <= MOST_DRAWN, `${drawn} rows are in the document`);
	const seen = await page.evaluate(() => {
		const view = document.getElementById("view").getBoundingClientRect();
		const last = [...document.querySelectorAll("#view tr.row")].at(-1).getBoundingClientRect();
		return last.bottom <= view.bottom + 1 && last.top >= view.top;
	});
	assert(seen, "the last row cannot be seen at the end");
	await page.evaluate(() => { document.getElementById("view").scrollTop = 0; });
	await page.locator('#view tr.row[aria-rowindex="2"] button').focus();
	const steps = Math.min(total - 1, 50);
	for (let i = 0; i < steps; i++) {
		await page.keyboard.press("Tab");
		if (await page.evaluate(() => document.activeElement.type === "checkbox")) await page.keyboard.press("Tab");
		if (i % 4 === 0) await frames(page); // nobody presses a key faster than a screen shows it
	}
	const reached = await page.evaluate(() => document.activeElement.closest("tr")?.ariaRowIndex);
	assert.equal(reached, String(2 + steps), "the keyboard did not get from row to row");
	done(`${where}: scrolled to the last of ${total} rows in ${took} ms, ${drawn} in the document`);
}

async function search(page, where) {
	const started = performance.now();
	await page.getByLabel("Search").fill(needle);
	await page.locator("#status", { hasText: /^1 of / }).waitFor();
	const took = within(started, STEP_MS, "searching");
	const found = await page.locator("#view tr.row td.tag").allTextContents();
	assert.equal(found.length, 1);
	assert(found[0].includes(needle), `found ${found[0]}`);
	await page.locator("#view tr.row button").focus();
	await page.keyboard.press("Enter");
	await page.locator("dialog[open] dd", { hasText: needle }).first().waitFor();
	await page.keyboard.press("Escape");
	await page.getByLabel("Search").fill("");
	await page.locator("#status", { hasText: /^[\d,]+ tags/ }).waitFor();
	done(`${where}: found ${needle} in ${took} ms, and opened it with the keyboard`);
}

async function sort(page, where, shot) {
	const header = page.locator("#view th.tag");
	const tags = () => page.locator("#view tr.row td.tag").evaluateAll((cells) => cells.slice(0, 20).map((cell) => cell.textContent));
	const times = [];
	for (const [direction, sign] of [["ascending", 1], ["descending", -1]]) {
		await header.locator("button").focus();
		const started = performance.now();
		await page.keyboard.press("Enter");
		await page.locator(`#view th.tag[aria-sort=${direction}]`).waitFor();
		times.push(within(started, STEP_MS, "sorting"));
		const got = await tags();
		assert.deepEqual(got, [...got].sort((a, b) => (a < b ? -sign : a > b ? sign : 0)), direction);
	}
	// The oldest stand first when one asks for ages.
	const days = (text) => parseInt(text) * (/year/.test(text) ? 365 : /month/.test(text) ? 365 / 12 : 1) || 0;
	await page.locator("#view th.age button").focus();
	await page.keyboard.press("Enter");
	await page.locator("#view th.age[aria-sort=descending]").waitFor();
	const ages = await page.locator("#view tr.row td.age").evaluateAll((cells) => cells.slice(0, 20).map((cell) => cell.textContent));
	assert(/^\d+ (days|months|years)$/.test(ages[0]), ages[0]);
	assert.deepEqual(ages.map(days), ages.map(days).sort((a, b) => b - a), "ages");
	const outcome = await page.locator("#outcome option").nth(1).getAttribute("value");
	await page.getByLabel("Outcome").selectOption(outcome);
	await page.locator("#status", { hasText: / of / }).waitFor();
	const outcomes = new Set(await page.locator("#view tr.row td.outcome").allTextContents());
	assert.deepEqual([...outcomes], [outcome.slice(1)]);
	await page.locator("#view").scrollIntoViewIfNeeded();
	if (values.screenshots) await page.screenshot({ path: `${values.screenshots}/${shot}-table.png` });
	done(`${where}: sorted by the keyboard in ${times.join(" and ")} ms, and filtered`);
}

// choose selects tags by click, by keyboard and by what a search has found, and downloads a plan of
// them. Search and filters are as sort has left them.
async function choose(page, where, shot) {
	const marked = rowsOf(readFileSync(file, "utf8")).filter((row) => row.outcome === "marked");
	const chosen = new Set();
	const said = (extra = "") => page.locator("#selected", {
		hasText: new RegExp(`^${chosen.size.toLocaleString("en")} of ${marked.length.toLocaleString("en")} selected${extra}$`),
	}).waitFor();
	const row = (i) => page.locator("#view tr.row").nth(i);
	const nameOf = async (i) => `${await row(i).locator("td.repository").textContent()}:${await row(i).locator("td.tag").textContent()}`;
	const button = page.getByRole("button", { name: "Download the selected as a plan" });
	const everything = page.getByLabel("Select all that are shown");
	await said();
	assert(await button.isDisabled(), "a plan of nothing");

	await row(0).getByRole("checkbox").click();
	chosen.add(await nameOf(0));
	await said();
	await row(1).getByRole("checkbox").focus();
	await page.keyboard.press("Space");
	chosen.add(await nameOf(1));
	await said();
	assert(await everything.evaluate((box) => box.indeterminate), "some of those that are shown");
	await page.getByLabel("Search").fill("feature");
	await page.locator("#status", { hasText: / of / }).waitFor();
	const found = marked.map((one) => one.name).filter((one) => one.includes("feature"));
	await page.waitForFunction((n) => document.querySelector("#view table").ariaRowCount === String(n + 1), found.length);
	const hidden = [...chosen].filter((one) => !found.includes(one)).length;
	const notShown = hidden ? `, ${hidden} of them not shown` : "";
	await said(notShown);
	await everything.focus();
	const started = performance.now();
	await page.keyboard.press("Space");
	const before = new Set(chosen);
	for (const one of found) chosen.add(one);
	await said(notShown);
	const took = within(started, STEP_MS, "selecting all that are shown");
	assert(await row(0).getByRole("checkbox").isChecked(), "a row that is shown is not selected");
	await everything.click();
	for (const one of found) chosen.delete(one);
	await said(notShown);
	assert(chosen.size <= before.size && !(await row(0).getByRole("checkbox").isChecked()), "what is shown is selected still");
	await everything.click();
	for (const one of found) chosen.add(one);
	await row(0).getByRole("checkbox").click();
	chosen.delete(await nameOf(0));
	await said(notShown);

	await page.getByLabel("Search").fill("");
	await page.getByLabel("Outcome").selectOption("");
	await said();
	await page.locator("#selection").scrollIntoViewIfNeeded();
	if (values.screenshots) await page.screenshot({ path: `${values.screenshots}/${shot}-selected.png` });
	await button.focus();
	const clicked = performance.now();
	const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("Enter")]);
	await download.saveAs(values.plan);
	const saved = within(clicked, FIRST_LOOK_MS, "downloading");
	assert.equal(download.suggestedFilename(), "plan.jsonl");
	writeFileSync(`${values.plan}.selected`, JSON.stringify([...chosen]));
	const lines = readFileSync(values.plan, "utf8").split("\n").length - 2;
	assert.equal(lines, chosen.size, "lines of the plan");
	done(`${where}: selected ${lines} of ${marked.length} tags, all that a search found in ${took} ms, and downloaded them in ${saved} ms`);
}

// rowsOf reads the rows out of a page by itself.
function rowsOf(text) {
	const names = [];
	return JSON.parse(text.match(/<script type="application\/json" id="rows">([^<]*)/)[1]).map((row) => {
		for (const i of [0, 2, 3, 4, 7]) {
			if (typeof row[i] === "number") row[i] = names[row[i]];
			else names.push(row[i]);
		}
		return { name: `${row[0]}:${row[1]}`, outcome: row[2] };
	});
}

async function print() {
	await visit({ viewport: { width: 794, height: 1123 }, colorScheme: "dark" }, async (page) => {
		await page.locator("#view tr.row").first().waitFor();
		await page.emulateMedia({ media: "print" });
		const total = Number((await page.locator("#status").textContent()).match(/^[\d,]+/)[0].replaceAll(",", ""));
		await page.waitForFunction((n) => document.querySelectorAll("#view tr.row").length === n, Math.min(total, 200));
		const paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
		assert.equal(paper, "rgb(255, 255, 255)", "paper is not dark");
		assert.equal(await page.locator(".controls").isVisible(), false, "a search field on paper");
		assert.equal(await page.locator("#selection:visible, input[type=checkbox]:visible").count(), 0, "boxes on paper");
		await picture(page, `${name}-print`);
		const pdf = await page.pdf({ format: "A4", path: values.screenshots && `${values.screenshots}/${name}.pdf` });
		const pages = pdf.toString("latin1").match(/\/Type\s*\/Page\b/g)?.length ?? 0;
		assert(pages >= 2 && pages <= 60, `printed on ${pages} pages`);
		done(`print: ${Math.min(total, 200)} rows on ${pages} pages, black on white`);
		await page.emulateMedia({ media: "screen" });
		await page.waitForFunction((n) => document.querySelectorAll("#view tr.row").length <= n, MOST_DRAWN);
		done("print: the screen is as before afterwards");
	});
}

async function withoutScript() {
	await visit({ javaScriptEnabled: false }, async (page) => {
		await page.locator("noscript p", { hasText: "decisions.jsonl" }).waitFor();
		assert.equal(await page.locator("figure.chart > svg").count(), 3);
		assert.equal(await page.locator("#decisions").isVisible(), false);
		done("without JavaScript: figures and charts, and where the decisions are");
	});
}

function frames(page) {
	return page.evaluate(() => new Promise((shown) => requestAnimationFrame(() => requestAnimationFrame(shown))));
}

function within(started, most, what) {
	const took = Math.round(performance.now() - started);
	assert(took <= most, `${what} took ${took} ms, more than ${most}`);
	return took;
}

async function picture(page, as) {
	if (values.screenshots) await page.screenshot({ path: `${values.screenshots}/${as}.png`, fullPage: true });
}
