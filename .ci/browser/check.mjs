// Looks at reports in headless Chromium, as their readers would, and ends with an error
// when something is wrong:
//
//	node check.mjs [--screenshots FOLDER] PAGES
//	node check.mjs --picture FILE REPORT
//
// PAGES is a list in JSON: of each page its name, the file, and as needle a word that exactly one tag of
// it has. With plan tags can be selected for a plan, which is saved as that file, and what was selected as
// the file with .selected behind it; without it nothing can be. With --picture it only writes the picture of a
// report that the README shows.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { chromium } from "playwright-core";

const { values, positionals } = parseArgs({
	allowPositionals: true,
	options: { chromium: { type: "string", default: "/usr/bin/chromium" }, screenshots: { type: "string" }, picture: { type: "string" } },
});
assert(positionals.length === 1, "usage: node check.mjs [--screenshots FOLDER] PAGES");
const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

// Generous: the point is that no step takes time that grows with the square of the rows.
const FIRST_LOOK_MS = 15_000, STEP_MS = 4_000;
const MOST_DRAWN = 80;

let name, file, address, needle, plan; // of the page that is looked at
let checks = 0;
const done = (what) => {
	checks++;
	console.log(`  ${name}: ${what}`);
};

const browser = await chromium.launch({
	executablePath: values.chromium,
	args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
	if (values.picture) await takePicture();
	else for (const page of JSON.parse(positionals[0])) await checkPage(page);
} finally {
	await browser.close();
}

// checkPage looks at a large page once, and at others in all sizes, at some of them closely.
async function checkPage(page) {
	({ name, page: file, needle, plan } = page);
	address = pathToFileURL(resolve(file)).href;
	checks = 0;
	const rows = rowsOf(readFileSync(file, "utf8"));
	let expected;
	if (rows.length === 0) {
		await empty();
		expected = 1;
	} else if (rows.length > 1000) {
		await look(1280, "light", rows, true);
		expected = 8;
	} else if (plan) {
		await look(1280, "dark", rows, true);
		await look(390, "light", rows, true);
		await look(1920, "light", rows);
		expected = 9 + 9 + 3 + 7;
		await filters();
		await sizes(rows);
		await exports(rows);
	} else {
		await look(1280, "light", rows);
		await look(390, "dark", rows);
		await run(rows);
		await print();
		await withoutScript();
		expected = 4 + 4 + 2 + 2 + 1;
	}
	assert.equal(checks, expected, `${checks} of ${expected} checks were made of ${name}`);
	console.log(`${name}: ${checks} checks passed`);
}

// rowsOf reads the rows out of a page by itself.
function rowsOf(text) {
	const names = [];
	return JSON.parse(gunzipSync(Buffer.from(text.match(/<script type="application\/gzip" id="rows">([^<]*)/)[1], "base64"))).map((row) => {
		for (const i of [0, 2, 3, 4, 7]) {
			if (typeof row[i] === "number") row[i] = names[row[i]];
			else names.push(row[i]);
		}
		return { name: `${row[0][0]}:${row[1]}`, tag: row[1], repository: row[0][0], project: row[0][1], outcome: row[2], reason: row[3], made: row[8], kind: row[4], bytes: row[5], digest: row[6] };
	});
}

// empty looks at the page of a run that has seen no tag.
async function empty() {
	await visit({ viewport: { width: 390, height: 900 } }, async (page) => {
		await page.getByText("There is none to show here.").waitFor();
		assert.equal(await page.locator("#explore").isVisible(), false, "a table of nothing");
		assert.match(await page.locator("#notices").textContent(), /Nothing was changed/);
		assert.match(await page.locator("#effort").textContent(), /^Looked at 0 tags/);
		assert.equal(await page.locator("#space p").count() > 1, true, "nothing on disk space");
		done("without a tag: says so, and how the run went");
	});
}

// visit opens the page and watches for what it must not do. Its own policy stays in
// force: nothing here switches it off.
async function visit(settings, use, hash = "") {
	const context = await browser.newContext(settings);
	const page = await context.newPage();
	const wrong = [];
	page.on("console", (message) => {
		if (["error", "warning"].includes(message.type())) wrong.push(`console: ${message.text()}`);
	});
	page.on("pageerror", (error) => wrong.push(`script: ${error}`));
	page.on("dialog", (dialog) => wrong.push(`dialog: ${dialog.message()}`));
	page.on("request", (request) => {
		if (request.url().replace(/#.*/, "") !== address && !request.url().startsWith("blob:")) wrong.push(`request: ${request.url()}`);
	});
	const started = performance.now();
	await page.goto(address + hash);
	await use(page, started);
	assert.deepEqual(wrong, [], `${name}: the page did what it must not`);
	await context.close();
}

function firstRow(page) { return page.locator("#view tr.row").first().waitFor(); }
function status(page, text) { return page.locator("#status", { hasText: text }).waitFor(); }
function marked(rows) { return rows.filter(({ outcome }) => outcome === "marked"); }

async function look(width, scheme, rows, closely) {
	const where = `${scheme}, ${width} px`;
	await visit({ viewport: { width, height: 900 }, colorScheme: scheme }, async (page, started) => {
		await firstRow(page);
		const first = within(started, FIRST_LOOK_MS, "the first rows");
		assert.equal(await page.evaluate(() => window.attacked), undefined, "a name became a script");
		assert.equal(await page.evaluate(() => document.querySelectorAll("img, iframe, link, object, embed, base, svg, b").length), 0, "a name became an element");
		assert.equal(await page.evaluate(() => document.scripts.length), 1, "there are scripts that are not ours");
		assert.deepEqual(await page.evaluate(() => [...document.links].filter((a) => !a.href.startsWith("https://gitlab.example.com/")).map((a) => a.href)), [], "a name became a link");
		assert.equal(await page.locator("#text").isVisible(), false, "the summary is there twice");
		done(`${where}: opened in ${first} ms, names are text`);
		await fits(page, where);
		if (rows.length < 1000) await inOrder(page, where);
		if (rows.length < 1000 && width < 1900) await accessible(page, where); // it takes seconds
		await picture(page, `${name}-${scheme}-${width}`);
		if (!closely) return;
		await scroll(page, where);
		await search(page, where);
		await sort(page, where);
		await choose(page, where, rows, `${name}-${scheme}-${width}`);
		await frames(page);
		done(`${where}: nothing went wrong`);
		if (rows.length > 1000) await onPhone(page);
	});
}

// fits checks that nothing is wider than the screen, that no letter in a row is cut off, and that the end of
// each repository and tag can be seen.
async function fits(page, where) {
	const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
	assert(overflow <= 0, `the page is ${overflow} px wider than the screen`);
	await page.locator("#view").scrollIntoViewIfNeeded();
	const wrong = await page.evaluate(() => {
		const wrong = [], near = .6;
		for (const row of document.querySelectorAll("#view tr.row")) {
			const outer = row.getBoundingClientRect(), cells = [...row.cells].filter((td) => td.textContent);
			for (const td of cells) {
				const cell = td.getBoundingClientRect(), name = `${td.className} "${td.textContent}"`;
				if (cell.top < outer.top - near || cell.bottom > outer.bottom + near) wrong.push(`${name} leaves its row`);
				for (const part of [td, ...td.querySelectorAll("*")]) {
					const box = part.getBoundingClientRect(), style = getComputedStyle(part);
					if (box.bottom > cell.bottom + near || box.top < cell.top - near) wrong.push(`${name}: ${part.localName} is ${box.height} px high in ${cell.height}`);
					const clamped = style.webkitLineClamp !== "none" && part.clientHeight >= parseFloat(style.lineHeight) - near;
					if (style.overflowY !== "visible" && !clamped && part.scrollHeight > part.clientHeight) wrong.push(`${name}: ${part.scrollHeight} px of ${part.localName} in ${part.clientHeight}`);
					if (parseFloat(style.lineHeight) < 1.3 * parseFloat(style.fontSize)) wrong.push(`${name}: a line is ${style.lineHeight} high`);
				}
				const end = td.querySelector(".ended span:last-child");
				if (td.matches(".tag, .repository") && !(end?.getBoundingClientRect().right <= cell.right + near && end.scrollWidth <= end.clientWidth + 1)) wrong.push(`the end of ${name} cannot be seen`);
				const text = document.createRange();
				text.selectNodeContents(td);
				if (td.matches(".size, .outcome, .age") && new Set([...text.getClientRects()].map(({ bottom }) => Math.round(bottom))).size > 1) wrong.push(`${name} has several lines`);
				const reason = td.querySelector("button"), begin = td.querySelector(".ended > span");
				if (reason && reason.scrollHeight > reason.clientHeight && /^[\w ,']{1,60}$/.test(td.textContent)) wrong.push(`${name} is cut off`);
				if (begin && td.matches(".repository") && td.textContent.length < 42 && begin.scrollWidth > begin.clientWidth + 1) wrong.push(`${name} is cut off`);
				if (td.matches(".size, .outcome, .age") && td.scrollWidth > td.clientWidth + 1) wrong.push(`${name}: ${td.scrollWidth} px in ${td.clientWidth}`);
				for (const other of cells) {
					const box = other.getBoundingClientRect();
					if (other !== td && box.left < cell.right - near && box.right > cell.left + near && box.top < cell.bottom - near && box.bottom > cell.top + near) wrong.push(`${name} lies on "${other.textContent}"`);
				}
			}
		}
		const view = document.getElementById("view");
		if (innerWidth < 500 && view.scrollHeight > view.clientHeight) wrong.push("the table scrolls within the page");
		return [...new Set(wrong)].slice(0, 5);
	});
	assert.deepEqual(wrong, [], where);
	done(`${where}: nothing is wider than the screen, no letter is cut off`);
}

// inOrder checks that rows come by repository and tag, and that the page says so.
async function inOrder(page, where) {
	const natural = new Intl.Collator("en", { numeric: true });
	const got = await page.locator("#view tr.row").evaluateAll((all) => all.map((row) => [row.querySelector(".repository").textContent, row.querySelector(".tag").textContent]));
	assert.deepEqual(got, [...got].sort((a, b) => natural.compare(a[0], b[0]) || natural.compare(a[1], b[1])), where);
	assert.equal(await page.locator("#view th.repository").getAttribute("aria-sort"), "ascending");
	assert.equal(await page.locator("#sort").inputValue(), "repository");
	done(`${where}: sorted by repository and tag`);
}

// onPhone makes a long table as narrow as a phone: the page scrolls, and there are more rows for the asking.
async function onPhone(page) {
	await page.setViewportSize({ width: 390, height: 800 });
	const drawn = (n) => page.waitForFunction((n) => document.querySelectorAll("#view tr.row").length === n, n);
	await drawn(50);
	await fits(page, "on a phone");
	await page.getByRole("button", { name: "Show more" }).click();
	await drawn(100);
	await page.getByLabel("Sort by").selectOption("-age");
	await drawn(50);
	assert.match(page.url(), /sort=-age/);
}

async function accessible(page, where) {
	// The page forbids scripts from elsewhere; the debugger's are not bound by that.
	await page.evaluate(source);
	await page.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
	const { violations, passes } = await page.evaluate(() => axe.run(document));
	const serious = violations.filter((v) => ["serious", "critical"].includes(v.impact));
	assert.deepEqual(serious.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html).join(" ")}`), []);
	assert(passes.some((p) => p.id === "color-contrast"), "axe did not check contrasts");
	await page.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = false; }));
	done(`${where}: axe passed ${passes.length} rules (violations: ${violations.map((v) => v.id).join(", ") || "none"})`);
}

async function scroll(page, where) {
	const total = Number(await page.locator("#view table").getAttribute("aria-rowcount")) - 1;
	const started = performance.now();
	await page.evaluate(() => {
		const view = document.getElementById("view");
		view.scrollTop = view.scrollHeight;
		if (innerWidth < 500) view.scrollIntoView({ block: "end" });
	});
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
	await page.locator('#view tr.row[aria-rowindex="2"] td.why button').focus();
	const steps = Math.min(total - 1, 30);
	for (let row = 3; row <= 2 + steps; row++) {
		for (let i = 0; i < 4; i++) { // a box, two links, a button
			await page.keyboard.press("Tab");
			if (await page.evaluate(() => document.activeElement.closest("td")?.className) === "why") break;
		}
		assert.equal(await page.evaluate(() => document.activeElement.closest("tr")?.ariaRowIndex), String(row), "the keyboard did not get to the next row");
		if (row % 4 === 0) await frames(page); // nobody presses a key faster than a screen shows it
	}
	done(`${where}: scrolled to the last of ${total} rows in ${took} ms, ${drawn} in the document`);
}

async function search(page, where) {
	await page.locator("#outcomes button", { hasText: "all" }).click();
	const started = performance.now();
	await page.getByLabel("Search").fill(needle);
	await status(page, /^1 of /);
	const took = within(started, STEP_MS, "searching");
	const found = await page.locator("#view tr.row td.tag").allTextContents();
	assert.equal(found.length, 1);
	assert(found[0].includes(needle), `found ${found[0]}`);
	await page.locator("#view tr.row td.why button").focus();
	await page.keyboard.press("Enter");
	await page.locator("dialog[open] dd", { hasText: needle }).first().waitFor();
	await page.keyboard.press("Escape");
	await page.getByRole("button", { name: "Clear filters" }).click();
	await page.locator("#clear").waitFor({ state: "hidden" });
	done(`${where}: found ${needle} in ${took} ms, and opened it with the keyboard`);
}

async function sort(page, where) {
	const texts = (column) => page.locator(`#view tr.row td.${column}`).evaluateAll((cells) => cells.slice(0, 20).map((cell) => cell.textContent));
	const natural = new Intl.Collator("en", { numeric: true }), times = [];
	const phone = await page.locator("#sort").isVisible();
	const by = async (column, choice) => {
		if (phone) return page.locator("#sort").selectOption(choice);
		await page.locator(`#view th.${column} button`).focus();
		await page.keyboard.press("Enter");
	};
	for (const [direction, sign] of [["ascending", 1], ["descending", -1]]) {
		const started = performance.now();
		await by("tag", sign < 0 ? "-tag" : "tag");
		await page.locator(`#view th.tag[aria-sort=${direction}]`).waitFor({ state: "attached" });
		times.push(within(started, STEP_MS, "sorting"));
		const got = (await texts("tag")).filter((tag) => /^[a-z0-9._-]+$/.test(tag));
		assert.deepEqual(got, [...got].sort((a, b) => sign * natural.compare(a, b)), direction);
	}
	// The oldest stand first when one asks for ages.
	const days = (text) => parseInt(text) * (/year/.test(text) ? 365 : /month/.test(text) ? 365 / 12 : /day/.test(text) ? 1 : 0) || 0;
	await by("age", "-age");
	await page.locator("#view th.age[aria-sort=descending]").waitFor({ state: "attached" });
	const ages = await texts("age");
	assert(/^\d+ (days|months|years)$/.test(ages[0]), ages[0]);
	assert.deepEqual(ages.map(days), ages.map(days).sort((a, b) => b - a), "ages");
	done(`${where}: sorted by ${phone ? "choice" : "the keyboard"} in ${times.join(" and ")} ms`);
}

// choose selects tags by click, by keyboard and by what a search has found, and downloads a plan of
// them.
async function choose(page, where, rows, shot) {
	const all = marked(rows), chosen = new Set();
	const said = (extra = "") => page.locator("#selected", {
		hasText: new RegExp(`^${chosen.size.toLocaleString("en")} of ${all.length.toLocaleString("en")} selected${extra}$`),
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
	const found = all.map((one) => one.name).filter((one) => one.includes("feature"));
	await page.waitForFunction((n) => document.querySelector("#view table").ariaRowCount === String(n + 1), found.length);
	const hidden = [...chosen].filter((one) => !found.includes(one)).length;
	const notShown = hidden ? `, ${hidden} of them not shown` : "";
	await said(notShown);
	await everything.focus();
	const started = performance.now();
	await page.keyboard.press("Space");
	for (const one of found) chosen.add(one);
	await said(notShown);
	const took = within(started, STEP_MS, "selecting all that are shown");
	assert(await row(0).getByRole("checkbox").isChecked(), "a row that is shown is not selected");
	await everything.click();
	for (const one of found) chosen.delete(one);
	await said(notShown);
	assert(!(await row(0).getByRole("checkbox").isChecked()), "what is shown is selected still");
	await everything.click();
	for (const one of found) chosen.add(one);
	await row(0).getByRole("checkbox").click();
	chosen.delete(await nameOf(0));
	await said(notShown);

	await page.getByLabel("Search").fill("");
	await page.locator("#clear").waitFor({ state: "hidden" });
	await said();
	await page.locator("#selection").scrollIntoViewIfNeeded();
	if (values.screenshots) await page.screenshot({ path: `${values.screenshots}/${shot}-selected.png` });
	await button.focus();
	const clicked = performance.now();
	const text = await downloaded(page, "plan.jsonl", () => page.keyboard.press("Enter"));
	const saved = within(clicked, FIRST_LOOK_MS, "downloading");
	writeFileSync(plan, text);
	writeFileSync(`${plan}.selected`, JSON.stringify([...chosen]));
	const lines = text.split("\n").length - 2;
	assert.equal(lines, chosen.size, "lines of the plan");
	done(`${where}: selected ${lines} of ${all.length} tags, all that a search found in ${took} ms, and downloaded them in ${saved} ms`);
}

// downloaded returns the text of a file that is downloaded.
async function downloaded(page, as, act) {
	const [download] = await Promise.all([page.waitForEvent("download"), act()]);
	assert.equal(download.suggestedFilename(), as);
	return readFileSync(await download.path(), "utf8");
}

// filters clicks bars: what they count is what is found, the address holds it, and the back button takes it
// back.
async function filters() {
	await visit({ viewport: { width: 1280, height: 900 } }, async (page) => {
		await firstRow(page);
		const begun = await page.locator("#status").textContent();
		const bar = (box, text) => page.locator(`#${box} .bar`, { hasText: text });
		const boxes = await page.locator(".box").evaluateAll((all) => all.map((box) => [box.id, [...box.querySelectorAll("li:not(.below) .n")].reduce((n, { textContent }) => n + parseInt(textContent), 0)]));
		assert.deepEqual(boxes.map(([id, n]) => [id, n + " "]), ["why", "where", "age", "kind"].map((id) => [id, begun.match(/^\d+ /)[0]]), "bars do not add up to what is shown");
		done("the bars of each box add up to the tags that are shown");

		await bar("why", "build cache whose image is gone").focus();
		await page.keyboard.press("Enter");
		await status(page, /^6 of /);
		assert.equal(await bar("why", "build cache whose image is gone").getAttribute("aria-pressed"), "true");
		assert.equal(await page.evaluate(() => document.activeElement.dataset.key), "why=counterpart-tag-missing", "the focus is lost");
		await bar("age", "1 to 2 months").click();
		await status(page, /^1 of /);
		assert.equal(await page.locator("#kind .bar").count(), 1, "other boxes do not follow");
		assert.equal(await page.locator("#age .bar").count() > 1, true, "what else could be chosen is not shown");
		assert.match(page.url(), /#why=counterpart-tag-missing&age=/);
		done("bars filter, and what they say follows");

		const address = page.url();
		await page.goBack();
		await status(page, /^6 of /);
		await page.goBack();
		await status(page, begun);
		await page.goForward();
		await status(page, /^6 of /);
		await bar("why", "build cache whose image is gone").click();
		await status(page, begun);
		done("the back button takes a filter back, and a second click");

		await page.locator("#where .fold", { hasText: "▸" }).first().click();
		const project = page.locator("#where .below .bar").first(), n = parseInt(await project.locator(".n").textContent());
		await project.click();
		await status(page, new RegExp(`^${n} of `));
		await page.getByRole("button", { name: "by size" }).click();
		assert.equal(await page.getByRole("button", { name: "by size" }).getAttribute("aria-pressed"), "true");
		assert.match(page.url(), /where=acme.*by=size/);
		done("a group unfolds, and bars are as long as sizes");

		await page.goto(address + "&q=v1&sort=-tag");
		await page.reload();
		await status(page, /^1 of /);
		assert.equal(await page.getByLabel("Search").inputValue(), "v1");
		assert.equal(await page.locator("#view th.tag").getAttribute("aria-sort"), "descending");
		await page.goto(address.replace(/#.*/, "#why=%3Cimg%20src=x%20onerror=window.attacked=1%3E&sort=__proto__&age=constructor"));
		await page.reload();
		await status(page, /^0 of /);
		assert.equal(await page.evaluate(() => window.attacked), undefined);
		done("an address brings its filters, and does nothing else");
	});
}

// sizes checks that in each bar a manifest counts once, whatever others have.
async function sizes(rows) {
	await visit({ viewport: { width: 1280, height: 900 } }, async (page) => {
		await firstRow(page);
		const folded = page.locator("#where .fold", { hasText: "▸" });
		while (await folded.count() > 0) await folded.first().click();
		const units = ["B", "KiB", "MiB", "GiB"];
		const sum = (some) => {
			let n = [...new Map(some.map((row) => [row.digest, row.bytes])).values()].reduce((n, bytes) => n + bytes, 0), unit = 0;
			for (; n >= 1024; n /= 1024) unit++;
			return `${n.toFixed(1)} ${units[unit]}`;
		};
		const all = marked(rows), simple = all.reduce((n, { bytes }) => n + bytes, 0) / 2 ** 30;
		const [, total] = (await page.locator("#status").textContent()).split(" · ");
		assert.equal(total, sum(all));
		assert.notEqual(total, `${simple.toFixed(1)} GiB`, "no manifest has several tags");
		const under = { why: (row) => row.reason, kind: (row) => row.kind || "unknown" };
		let bars = 0;
		for (const { key, text } of await page.locator(".bar").evaluateAll((all) => all.map((bar) => ({ key: bar.dataset.key, text: bar.querySelector(".n").textContent })))) {
			const [, box, value] = key.match(/^(.*?)=(.*)/);
			if (box === "age") continue;
			const some = all.filter((row) => (under[box] ? under[box](row) === value : value.endsWith("/") ? row.project.startsWith(value) : row.project === value));
			assert.equal(text, `${some.length} · ${sum(some)}`, key);
			bars++;
		}
		assert(bars >= 10, `${bars} bars`);
		done(`in each of ${bars} bars, and in the sum, a manifest counts once`);
	});
}

// exports copies and saves what is shown.
async function exports(rows) {
	await visit({ viewport: { width: 1280, height: 900 } }, async (page) => {
		await firstRow(page);
		// Without the clipboard what is selected is copied.
		await page.evaluate(() => {
			Object.defineProperty(navigator, "clipboard", { value: undefined });
			document.addEventListener("copy", (event) => { window.copied = event.target.value; });
		});
		await page.locator("#view th.tag button").click();
		await page.getByRole("button", { name: "Copy names" }).click();
		await page.getByRole("button", { name: "Copied" }).waitFor();
		const names = marked(rows).map((row) => row.name);
		assert.deepEqual((await page.evaluate(() => window.copied)).split("\n").filter(Boolean).sort(), names.sort());
		await page.locator("#next button").first().click();
		assert.equal(await page.evaluate(() => window.copied), "registry-gc apply reports/plan.jsonl");
		const text = await downloaded(page, "tags.csv", () => page.getByRole("button", { name: "Download CSV" }).click());
		const lines = text.trim().split("\r\n");
		assert.equal(lines.length, names.length + 1);
		assert(lines.slice(1).every((line) => names.includes(line.match(/^"(.*?)","(.*?)"/).slice(1).join(":"))), lines[1]);
		done("names, the command and the CSV are what is shown");
	});
}

// run looks at what a run that deleted has besides: tags that are kept, the command that undoes it, links.
async function run(rows) {
	await visit({ viewport: { width: 1280, height: 900 } }, async (page) => {
		await firstRow(page);
		assert.equal(await page.locator("#selection:visible, #view input[type=checkbox]").count(), 0, "tags can be selected of a run without a plan");
		await page.locator("#next code", { hasText: "registry-gc undo reports/journal/1.jsonl" }).waitFor();
		assert.deepEqual(await page.locator("#facts a").evaluateAll((all) => all.map((a) => a.href)), ["https://gitlab.example.com/", "https://gitlab.example.com/ops/gc/-/jobs/7"]);
		const link = page.locator("#view td.tag a").first();
		assert.match(await link.getAttribute("href"), /^https:\/\/gitlab\.example\.com\/acme\/.*\/container_registry\/\d+$/);
		assert.equal(await link.getAttribute("rel"), "noopener noreferrer");
		done("undo, links into GitLab, and nothing to select");

		await page.locator("#outcomes button", { hasText: "kept" }).click();
		await status(page, new RegExp(`^${rows.filter(({ outcome }) => outcome === "kept").length} of `));
		assert.deepEqual([...new Set(await page.locator("#view td.outcome").allTextContents())], ["kept"]);
		assert((await page.locator("#stays li").count()) >= 3, "reasons for which tags stay");
		done("tags that are kept are rows, and why they are is said");
	});
}

async function print() {
	await visit({ viewport: { width: 794, height: 1123 }, colorScheme: "dark" }, async (page) => {
		await firstRow(page);
		const total = Number((await page.locator("#status").textContent()).match(/^[\d,]+/)[0].replaceAll(",", ""));
		await page.emulateMedia({ media: "print" });
		await page.waitForFunction((n) => document.querySelectorAll("#view tr.row").length === n, Math.min(total, 200));
		const paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
		assert.equal(paper, "rgb(255, 255, 255)", "paper is not dark");
		assert.equal(await page.locator(".tools:visible, #selection:visible, input[type=checkbox]:visible").count(), 0, "controls on paper");
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
		assert.match(await page.locator("h1").textContent(), /^\d+ of \d+ tags deleted/);
		assert.match(await page.locator("#text").textContent(), /build cache whose image is gone|counterpart-tag-missing/);
		assert.equal(await page.locator("main").isVisible(), false);
		done("without JavaScript: the summary, and where the decisions are");
	});
}

// takePicture writes the upper part of a report as the README shows it, with names that mean something to
// its readers in the place of the demo's, and without what is folded or said of a single repository.
async function takePicture() {
	const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, colorScheme: "light" });
	await page.goto(pathToFileURL(resolve(positionals[0])).href);
	await firstRow(page);
	await page.evaluate(() => {
		const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
		for (let text = texts.nextNode(); text; text = texts.nextNode()) {
			text.data = text.data.replace(/http:\/\/127[^ ]*/, "https://gitlab.example.com").replace(/\/\S*\/plan\//, "reports/").replace("@registry-gc", "@root").replace("registry-gc dev", "registry-gc 0.1.0");
		}
	});
	await page.evaluate(() => document.querySelectorAll("#settings, #notices > :nth-child(n+2)").forEach((one) => { one.hidden = true; }));
	await page.screenshot({ path: values.picture, fullPage: true, clip: { x: 0, y: 0, width: 1280, height: 948 } });
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
