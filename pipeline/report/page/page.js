// Draws the report: what data has, and the rows of tags. All text becomes text nodes, for names come from
// the server and are never markup. Of the rows only those in sight are in the document, so that 100,000 of
// them scroll as fast as ten. What is filtered is in the address.
"use strict";
(() => {
	const $ = (id) => document.getElementById(id);
	const take = (id) => { // the text of an element, which is not needed any more
		const text = $(id)?.textContent ?? "";
		$(id)?.remove();
		return text;
	};
	const data = JSON.parse(take("data")), packedRows = take("rows");
	let packedPlan = take("plan");

	const count = (n) => n.toLocaleString("en");
	const tagsOf = (n) => count(n) + (n === 1 ? " tag" : " tags");

	// el makes an element with properties and children. Texts among these stay texts.
	function el(name, properties = {}, ...children) {
		const element = Object.assign(document.createElement(name), properties);
		element.append(...children);
		return element;
	}

	// linked is a text that leads to a page of GitLab, where it has one.
	function linked(text, address) {
		if (!/^https?:\/\//.test(address)) return text;
		return el("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, text);
	}

	function size(bytes) {
		const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
		let unit = 0;
		while (bytes >= (unit ? 1023.95 : 1024) && unit < units.length - 1) {
			bytes /= 1024;
			unit++;
		}
		return bytes.toFixed(unit ? 1 : 0) + " " + units[unit];
	}

	// age says how old something was when the run began, as the summary does.
	const DAY = 86400, MONTH = DAY * 365 / 12;
	function age(made) {
		for (const [length, unit] of [[365 * DAY, "years"], [MONTH, "months"], [DAY, "days"], [3600, "hours"], [60, "minutes"]]) {
			const n = Math.floor((data.began - made) / length);
			if (n >= 2) return n + " " + unit;
		}
		return "under two minutes";
	}

	// A copier copies a text when it is clicked, and says so for a moment.
	function copier(button, text) {
		const label = button.textContent;
		button.addEventListener("click", async () => {
			const done = await copied(await text());
			button.textContent = done ? "Copied" : "Not copied";
			setTimeout(() => { button.textContent = label; }, 1500);
		});
		return button;
	}

	async function copied(text) {
		try {
			await navigator.clipboard.writeText(text);
			return true;
		} catch { // where the page is not trusted with the clipboard, what is selected can be copied
			const field = el("textarea", { value: text, className: "away" }), focused = document.activeElement;
			document.body.append(field);
			field.select();
			const done = document.execCommand("copy");
			field.remove();
			focused?.focus();
			return done;
		}
	}

	function save(name, type, parts) {
		const link = el("a", { href: URL.createObjectURL(new Blob(parts, { type })), download: name });
		link.click();
		setTimeout(() => URL.revokeObjectURL(link.href), 60000);
	}

	const command = (text) => el("span", { className: "command" }, el("code", {}, text),
		copier(el("button", { type: "button", ariaLabel: "Copy " + text }, "Copy"), () => text));

	drawRun();
	drawStays();
	drawAdvice();
	for (const sentence of data.collects) $("space").append(el("p", {}, sentence));
	drawTrend();

	function drawRun() {
		for (const { text, title } of data.facts) $("facts").append(el("span", { title: title ?? "" }, el("bdi", {}, linked(text, text === data.gitlab ? text : ""))));
		for (const { text, address } of data.links ?? []) $("facts").append(el("span", {}, linked(text, address)));
		for (const { level, title, text, fixed, after } of data.notices ?? []) {
			const notice = el("div", { className: "notice " + level });
			const sentence = el("p", {}, title ? el("strong", {}, title) : "", title && text ? " " : "", el("bdi", {}, text ?? ""));
			notice.append(sentence);
			if (fixed) notice.append(el("pre", { tabIndex: 0 }, fixed.join("\n")));
			if (after) notice.append(el("p", {}, after));
			$("notices").append(notice);
		}
		for (const [variable, value] of data.settings ?? []) $("settings").querySelector("dl").append(el("dt", {}, variable), el("dd", {}, el("bdi", {}, value)));
		$("settings").hidden = !data.settings;
		for (const { label, command: text, note } of data.steps ?? []) {
			$("next").querySelector("ul").append(el("li", {}, el("span", { className: "label" }, label), command(text), el("span", { className: "muted" }, note ?? "")));
		}
		$("next").hidden = !data.steps;
		$("effort").textContent = data.effort;
	}

	function drawStays() {
		const list = $("stays").querySelector("ul");
		for (const { reason, outcome, words, text, tags, examples } of data.reasons) {
			if (outcome === "deleted") continue;
			const item = el("li", { className: outcome }, el("strong", {}, tagsOf(tags) + " " + data.outcomes[outcome]), ": ", el("span", { title: reason }, words));
			const at = text ? text.indexOf(". ") : -1; // the words are the first sentence
			if (at > 0) item.append(el("p", { className: "muted" }, text.slice(at + 2)));
			if (examples) item.append(el("p", { className: "examples" }, "such as ", ...examples.flatMap((name, i) => [i ? ", " : "", el("bdi", {}, el("code", {}, name))])));
			list.append(item);
		}
		for (const { title, text, rows } of data.stay ?? []) {
			const article = el("article", {}, el("h3", {}, title), el("p", {}, text));
			if (rows) {
				const head = el("tr", {}, ...["The largest", "Kind", "Age", "Size"].map((name, i) => el("th", { scope: "col", className: i > 1 ? "n" : "" }, name)));
				const body = rows.map((row) => el("tr", {}, ...row.map((cell, i) => el(i ? "td" : "th", i ? { className: i > 1 ? "n" : "" } : { scope: "row" }, el("bdi", {}, cell)))));
				const scroll = el("div", { className: "scroll", role: "region", tabIndex: 0, ariaLabel: title });
				scroll.append(el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)));
				article.append(scroll);
			}
			$("stays").append(article);
		}
		$("stays").hidden = !list.children.length && !data.stay;
	}

	function drawAdvice() {
		for (const { title, why, change, code, tags, projects, more } of data.advice ?? []) {
			const names = el("ul", { className: "projects", ariaLabel: "Projects" });
			for (const { project, tags } of projects) names.append(el("li", {}, el("bdi", {}, project), " ", el("span", { className: "muted" }, count(tags))));
			if (more) names.append(el("li", {}, "and " + count(more) + " more"));
			$("advice").append(el("article", {}, el("h3", {}, title + " ", el("span", { className: "muted" }, tagsOf(tags))), el("p", {}, why), el("p", {}, change), code ? command(code) : "", names));
		}
		$("advice").hidden = !data.advice;
	}

	function drawTrend() {
		if (!data.trend) return;
		const longest = Math.max(1, ...data.trend.runs.map(({ tags }) => tags));
		for (const { began, tags, bytes } of data.trend.runs) {
			const bar = el("span", { className: "fill" });
			bar.style.width = 100 * tags / longest + "%";
			$("trend").querySelector("tbody").append(el("tr", {}, el("th", { scope: "row" }, new Date(began * 1000).toISOString().slice(0, 16).replace("T", " ")),
				el("td", { className: "n" }, count(tags)), el("td", { className: "n" }, bytes ? size(bytes) : "–"), el("td", { className: "track" }, bar)));
		}
		if (data.trend.more) $("trend").append(el("p", { className: "muted" }, "Journals of earlier runs that are not shown: " + count(data.trend.more) + "."));
		$("trend").hidden = false;
	}

	// The places of a row's values, as Go writes them, and of those of its repository.
	const REPOSITORY = 0, TAG = 1, OUTCOME = 2, REASON = 3, KIND = 4, BYTES = 5, DIGEST = 6, BECAUSE = 7, MADE = 8;
	const PATH = 0, PROJECT = 1, PAGE = 2;

	const goes = new Set(["deleted", "marked"]);
	const reasons = new Map(data.reasons.map((reason) => [reason.reason, reason]));
	const wordsOf = (reason) => reasons.get(reason)?.words ?? reason;
	const kindOf = (kind) => data.kinds[kind]?.[0] ?? kind;
	const outcomeOf = (outcome) => data.outcomes[outcome] ?? outcome;

	// unpack returns a stream of what Go has packed.
	function unpack(packed) {
		const binary = atob(packed), bytes = new Uint8Array(binary.length);
		for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
		return new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
	}

	// readRows puts texts in the place of their numbers. A text is written out where it first comes.
	async function readRows() {
		const all = JSON.parse(await new Response(unpack(packedRows)).text()), names = [];
		for (const row of all) {
			for (const i of [REPOSITORY, OUTCOME, REASON, KIND, BECAUSE]) {
				if (typeof row[i] === "number") row[i] = names[row[i]];
				else names.push(row[i]);
			}
		}
		return all;
	}

	if (!window.DecompressionStream) {
		$("nothing").textContent = "This browser cannot unpack the table of tags: it needs one of 2023 or later.";
		$("nothing").hidden = false;
		show();
		return;
	}
	readRows().then(explore).catch((error) => {
		$("nothing").textContent = "The table of tags cannot be drawn: " + error;
		$("nothing").hidden = false;
	}).finally(show);

	function show() {
		document.querySelector("main").hidden = false;
		$("text").hidden = true;
	}

	function explore(rows) {
		if (!rows.length) {
			$("nothing").hidden = false;
			return;
		}
		$("explore").hidden = false;

		// What is filtered, by the names that it has in the address.
		const names = ["outcome", "why", "where", "age", "kind", "q", "sort", "by"], usual = "repository"; // the order
		let state = {};

		// What many rows have alike is a list of values, and for each row the number of its own.
		function coded(valueOf) {
			const codes = new Uint32Array(rows.length), known = new Map(), values = [];
			for (let i = 0; i < rows.length; i++) {
				const value = valueOf(rows[i]);
				let code = known.get(value);
				if (code === undefined) {
					known.set(value, code = values.length);
					values.push(value);
				}
				codes[i] = code;
			}
			return { codes, values };
		}

		const ages = ["under a month", "1 to 2 months", "3 to 5 months", "6 to 11 months", "12 to 23 months", "24 to 35 months", "36 months or more", "not known"];
		const bounds = [1, 3, 6, 12, 24, 36];
		function ageOf(row) {
			if (!row[MADE] || !data.began) return ages.at(-1);
			let at = 0;
			while (at < bounds.length && data.began - row[MADE] >= bounds[at] * MONTH) at++;
			return ages[at];
		}

		// A facet is something that rows are filtered by.
		const facets = {
			outcome: coded((row) => row[OUTCOME]), why: coded((row) => row[REASON]), where: coded((row) => row[REPOSITORY][PROJECT]),
			age: coded(ageOf), kind: coded((row) => row[KIND]),
		};
		for (const facet of Object.values(facets)) {
			facet.allowed = new Uint8Array(facet.values.length);
			facet.tags = new Float64Array(facet.values.length);
			toMeasure(facet);
		}
		const repositories = coded((row) => row[REPOSITORY]), becauses = coded((row) => row[BECAUSE]);
		const groupOf = (project) => project.slice(0, Math.max(0, project.lastIndexOf("/"))) + "/";

		// Groups of projects are bars, too, and so is, in a way, all that is shown.
		const grouped = coded((row) => groupOf(row[REPOSITORY][PROJECT])), total = coded(() => "");
		toMeasure(grouped);
		toMeasure(total);

		function toMeasure(bars) {
			bars.bytes = new Float64Array(bars.values.length);
			bars.last = new Int32Array(bars.values.length);
		}

		// A manifest that several tags have counts once in each bar. The rows that have a size are taken by their
		// manifests, so that it is enough to know which one a bar has counted last.
		const bytes = Float64Array.from(rows, (row) => row[BYTES]), digests = coded((row) => row[DIGEST]);
		const manifests = Int32Array.from(rows, (row, i) => (row[DIGEST] ? digests.codes[i] : rows.length + i));
		const sized = inOrder([...rows.keys()].filter((i) => bytes[i] > 0), (i) => digests.codes[i], digests.values.length);

		function measureRow(bars, i) {
			const code = bars.codes[i];
			if (bars.last[code] === manifests[i]) return;
			bars.last[code] = manifests[i];
			bars.bytes[code] += bytes[i];
		}

		// inOrder puts numbers of rows in the order of their ranks, of which there are so many, and leaves those of
		// one rank in the order that they have: it counts how many there are of each.
		function inOrder(numbers, rankOf, ranks) {
			const place = new Uint32Array(ranks + 1), ordered = new Array(numbers.length);
			for (const i of numbers) place[rankOf(i) + 1]++;
			for (let rank = 1; rank <= ranks; rank++) place[rank] += place[rank - 1];
			for (const i of numbers) ordered[place[rankOf(i)]++] = i;
			return ordered;
		}

		// With tags that are kept, or of which it is not known, only those that go are shown at first.
		const gone = facets.outcome.values.find((outcome) => goes.has(outcome));
		const wanted = (name) => state[name] ?? (name === "sort" ? usual : name === "outcome" && gone && facets.outcome.values.length > 1 ? gone : "");

		// allows says which values of a facet are chosen.
		function allows(name) {
			const { values, allowed } = facets[name], choice = wanted(name);
			const everything = choice === "" || name === "outcome" && choice === "all";
			values.forEach((value, i) => {
				allowed[i] = everything || value === choice || name === "kind" && value === "" && choice === "unknown" ||
					name === "where" && choice.endsWith("/") && groupOf(value) === choice;
			});
		}

		// find returns the test whether a row has all the words.
		function find(words) {
			const lists = words.map((word) => {
				const has = ({ codes, values }, text) => ({ codes, hits: Uint8Array.from(values, (value) => text(value).toLowerCase().includes(word)) });
				return [has(repositories, (value) => value[PATH]), has(facets.why, (value) => value + "\n" + wordsOf(value)), has(becauses, (value) => value),
					has(facets.kind, (value) => value + "\n" + kindOf(value)), has(facets.outcome, outcomeOf)];
			});
			return (i) => words.every((word, n) => lists[n].some(({ codes, hits }) => hits[codes[i]]) ||
				rows[i][TAG].toLowerCase().includes(word) || rows[i][DIGEST].includes(word));
		}

		let shown = []; // numbers of rows, in the order of the table

		// filter finds the rows that have every choice and every word. A facet counts what would be found if
		// nothing of it were chosen.
		function filter() {
			for (const [name, { tags }] of Object.entries(facets)) {
				allows(name);
				tags.fill(0);
			}
			for (const bars of [...Object.values(facets), grouped, total]) {
				bars.bytes.fill(0);
				bars.last.fill(-1);
			}
			const words = wanted("q").toLowerCase().split(/\s+/).filter(Boolean), has = words.length ? find(words) : null;
			const all = Object.values(facets), counted = new Uint8Array(rows.length); // in no facet, in one of them, or in all
			const where = all.indexOf(facets.where), everywhere = all.length + 1;
			shown = [];
			for (const i of ordered) {
				let misses = 0, missed = 0;
				for (let n = 0; n < all.length; n++) {
					if (all[n].allowed[all[n].codes[i]]) continue;
					misses++;
					missed = n;
				}
				if (misses > 1 || has && !has(i)) continue;
				if (misses === 1) {
					counted[i] = missed + 1;
					all[missed].tags[all[missed].codes[i]]++;
					continue;
				}
				counted[i] = everywhere;
				shown.push(i);
				for (let n = 0; n < all.length; n++) all[n].tags[all[n].codes[i]]++;
			}
			for (const i of sized) {
				const at = counted[i];
				if (at === 0) continue;
				if (at < everywhere) measureRow(all[at - 1], i);
				else {
					measureRow(total, i);
					for (let n = 0; n < all.length; n++) measureRow(all[n], i);
				}
				if (at === everywhere || at === where + 1) measureRow(grouped, i);
			}
		}

		// Natural puts numbers in a text in the order of their values, v2 before v10: each is led by its length.
		const natural = (text) => text.toLowerCase().replace(/\d+/g, (digits) => {
			const value = digits.replace(/^0+(?=\d)/, "");
			return String.fromCharCode(48 + Math.min(value.length, 4000)) + value;
		}) + "\0" + text; // names that differ in nothing else have an order, too
		const columns = { // what rows have alike, and by what it is ordered
			tag: [null, (row) => natural(row[TAG])], repository: [repositories, (value) => natural(value[PATH])], why: [facets.why, wordsOf], kind: [facets.kind, kindOf],
			age: [null, (row) => (row[MADE] ? -row[MADE] : -Infinity)], size: [null, (row) => row[BYTES]], outcome: [facets.outcome, outcomeOf],
		};
		const ranks = {}; // of the rows by a column, made when it is first sorted by
		const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
		function rankOf(column) {
			const [alike, keyOf] = columns[column];
			const keys = alike ? alike.values.map(keyOf) : rows.map(keyOf);
			const sorted = [...new Set(keys)].sort(compare), rank = new Map(sorted.map((key, i) => [key, i]));
			const ofKeys = Uint32Array.from(keys, (key) => rank.get(key));
			return { most: sorted.length, of: alike ? alike.codes.map((code) => ofKeys[code]) : ofKeys };
		}

		// The order in which rows are shown that a column has alike: by repository, then by tag.
		const ordered = ["tag", "repository"].reduce((numbers, column) => {
			const { most, of } = ranks[column] = rankOf(column);
			return inOrder(numbers, (i) => of[i], most);
		}, [...rows.keys()]);

		// sort puts what is shown in the order of a column.
		function sort() {
			const known = Object.hasOwn(columns, wanted("sort").replace("-", "")), by = known ? wanted("sort") : usual;
			const column = by.replace("-", ""), down = by.startsWith("-");
			for (const th of headers) th.removeAttribute("aria-sort");
			$("sort").value = by;
			headers.find((th) => th.classList.contains(column)).setAttribute("aria-sort", down ? "descending" : "ascending");
			const { most, of } = ranks[column] ??= rankOf(column);
			shown = inOrder(shown, down ? (i) => most - 1 - of[i] : (i) => of[i], most);
		}

		// The address holds what is chosen. Each choice is a step that the browser's back button takes back, but
		// for what is typed.
		function parse() {
			const given = new URLSearchParams(location.hash.slice(1));
			state = {};
			for (const name of names) if (given.has(name)) state[name] = given.get(name);
		}

		function choose(changes, replace) {
			const next = new URLSearchParams();
			for (const name of names) {
				const value = name in changes ? changes[name] : state[name];
				if (value && !(name === "sort" && value === usual)) next.set(name, value);
			}
			const hash = "#" + (String(next) || "tags"); // an empty one would scroll to the top
			if (replace) location.replace(hash);
			else location.hash = hash;
			parse();
			update();
		}

		let drawnFor = "";
		function update() {
			drawnFor = location.hash;
			if ($("search").value !== wanted("q") && document.activeElement !== $("search")) $("search").value = wanted("q");
			filter();
			sort();
			drawFacets();
			asked = AT_ONCE;
			view.scrollTop = 0; // before rows are drawn, which are those in sight
			redraw();
			say();
		}

		const bySize = () => wanted("by") === "size";
		const unfolded = new Set(), whole = new Set(); // groups whose projects are shown; boxes that show all
		const most = 7; // bars in a box

		function drawFacets() {
			const focused = document.activeElement?.dataset?.key;
			const outcomes = facets.outcome.values.map((value, i) => ({ value, tags: facets.outcome.tags[i] }));
			const chip = (value, words, tags) => el("button", { type: "button", className: "chip " + value, ariaPressed: String(wanted("outcome") === value || wanted("outcome") === "" && value === "all") },
				words + " ", el("span", {}, count(tags)));
			$("outcomes").replaceChildren(...(outcomes.length > 1 ? [["all", "all", outcomes.reduce((n, { tags }) => n + tags, 0)], ...outcomes.map(({ value, tags }) => [value, outcomeOf(value), tags])]
				.map(([value, words, tags]) => keyed(chip(value, words, tags), "outcome=" + value, () => choose({ outcome: value === gone ? "" : value }))) : []));
			for (const button of $("by").children) button.ariaPressed = String(button.dataset.by === wanted("by"));
			const entries = (name, label, title) => facets[name].values.map((value, i) => ({ value, label: label(value), title: title(value), tags: facets[name].tags[i], bytes: facets[name].bytes[i] }));
			drawBox("why", entries("why", wordsOf, (reason) => reason + ": " + (reasons.get(reason)?.text ?? "")));
			drawBox("kind", entries("kind", kindOf, (kind) => data.kinds[kind]?.[1] ?? kind).map((entry) => ({ ...entry, value: entry.value || "unknown" })));
			drawBox("age", entries("age", (value) => value, () => "").sort((a, b) => ages.indexOf(a.value) - ages.indexOf(b.value)), true);
			drawBox("where", groups(entries("where", (project) => project.slice(groupOf(project).length), (project) => project)));
			if (focused) for (const button of document.querySelectorAll("[data-key]")) if (button.dataset.key === focused) button.focus({ preventScroll: true });
		}

		// groups puts projects together by their group. A group of one project is shown as that, and one group
		// as its projects.
		function groups(projects) {
			const all = new Map();
			for (const project of projects) {
				const name = groupOf(project.value);
				const group = all.get(name) ?? { value: name, label: name.slice(0, -1) || "/", title: name.slice(0, -1), tags: 0, bytes: grouped.bytes[grouped.values.indexOf(name)], below: [] };
				all.set(name, group);
				group.tags += project.tags;
				group.below.push(project);
			}
			if (all.size === 1) return projects.map((project) => ({ ...project, label: project.value }));
			return [...all.values()].map((group) => (group.below.length > 1 ? group : { ...group.below[0], label: group.below[0].value }));
		}

		const measure = (entry) => (bySize() ? entry.bytes : entry.tags);

		function drawBox(name, entries, ordered) {
			const chosen = wanted(name);
			entries = entries.filter(({ value, tags }) => tags > 0 || value === chosen);
			if (!ordered) entries.sort((a, b) => measure(b) - measure(a) || b.tags - a.tags);
			const longest = Math.max(1, ...entries.map(measure)), list = $(name).querySelector("ul");
			const named = whole.has(name) ? entries.slice(0, 500) : entries.slice(0, ordered ? 9 : most);
			const chosenEntry = entries.find(({ value, below }) => value === chosen || below?.some((project) => project.value === chosen));
			if (chosenEntry && !named.includes(chosenEntry)) named.push(chosenEntry);
			const items = [];
			for (const entry of named) {
				items.push(bar(name, entry, longest));
				if (entry.below && (unfolded.has(entry.value) || entry.below.some(({ value }) => value === chosen))) {
					const below = entry.below.filter(({ value, tags }) => tags > 0 || value === chosen).sort((a, b) => measure(b) - measure(a));
					items.push(...below.slice(0, 100).map((project) => bar(name, project, longest, true)));
					if (below.length > 100) items.push(el("li", { className: "below muted" }, "and " + count(below.length - 100) + " more"));
				}
			}
			if (entries.length > named.length || whole.has(name)) {
				const label = whole.has(name) ? "show fewer" : count(entries.length - named.length) + " more";
				items.push(el("li", {}, keyed(el("button", { type: "button", className: "more" }, label), name + "…", () => {
					if (!whole.delete(name)) whole.add(name);
					drawFacets();
				})));
			}
			list.replaceChildren(...items);
		}

		// keyed is a button that keeps the focus when it is drawn anew.
		function keyed(button, key, click) {
			button.dataset.key = key;
			button.addEventListener("click", click);
			return button;
		}

		function bar(name, entry, longest, below) {
			const { value, label, title, tags, bytes } = entry, fill = el("span", { className: "fill" });
			fill.style.width = 100 * measure(entry) / longest + "%";
			const button = el("button", { type: "button", className: "bar", title, ariaPressed: String(wanted(name) === value) },
				el("span", { className: "label" }, el("bdi", {}, label)), el("span", { className: "n" }, count(tags) + (bytes ? " · " + size(bytes) : "")), el("span", { className: "track" }, fill));
			keyed(button, name + "=" + value, () => choose({ [name]: wanted(name) === value ? "" : value }));
			const item = el("li", { className: below ? "below" : entry.below ? "group" : "" });
			if (entry.below) {
				const open = unfolded.has(value) || entry.below.some((project) => project.value === wanted(name));
				item.append(keyed(el("button", { type: "button", className: "fold", ariaExpanded: String(open), ariaLabel: "Projects of " + label }, open ? "▾" : "▸"), "fold=" + value, () => {
					if (!unfolded.delete(value)) unfolded.add(value);
					drawFacets();
				}));
			}
			item.append(button);
			return item;
		}

		// Browsers limit the height of a page: beyond so many rows one has to filter.
		const MOST_ROWS = 150000, MOST_PIXELS = 16e6;
		// Rows drawn above and below those in sight, and rows that are printed.
		const SPARE = 10, PRINTED = 200;
		// On a phone the table has no scroll bar of its own, in which touches would be caught. Rows are as high as
		// they need to be there, and as many are in the document as were asked for.
		const narrow = matchMedia("screen and (max-width: 45rem)"), AT_ONCE = 50;
		let asked = AT_ONCE;
		const view = $("view"), body = view.querySelector("tbody"), table = view.querySelector("table");
		table.classList.toggle("marks", facets.outcome.values.includes("marked"));
		if (packedPlan) table.classList.add("selects");
		else view.querySelector("th.select").remove();
		const headers = [...view.querySelectorAll("th")];
		const printing = matchMedia("print");
		const limit = () => (printing.matches ? PRINTED : Math.min(MOST_ROWS, Math.floor(MOST_PIXELS / height)));

		// What is drawn: rows by their place in shown, between two empty ones that are as
		// high as all that is not drawn.
		const drawn = new Map();
		const above = space(), below = space();
		body.append(above, below);
		let height = 1; // of a row

		function space() {
			const tr = el("tr", { className: "space", ariaHidden: "true" });
			tr.append(el("td", { colSpan: headers.length }));
			return tr;
		}

		function redraw() {
			for (const tr of drawn.values()) tr.remove();
			drawn.clear();
			if (shown.length > 0) {
				const probe = rowOf(0);
				body.append(probe);
				height = Math.max(1, probe.getBoundingClientRect().height);
				probe.remove();
			}
			table.setAttribute("aria-rowcount", Math.min(shown.length, limit()) + 1);
			draw();
		}

		// draw adds the rows that came in sight and removes those that left it. The others
		// stay in place, and with them the focus.
		function draw() {
			const most = Math.min(shown.length, limit());
			let first = 0, end = most;
			const lists = printing.matches || narrow.matches; // from the first on
			if (narrow.matches && !printing.matches) end = Math.min(most, asked);
			if (!lists) {
				// The box grows with its rows, but is never higher than the window.
				end = Math.min(most, Math.ceil((view.scrollTop + innerHeight) / height) + SPARE);
				first = Math.min(end, Math.max(0, Math.floor(view.scrollTop / height) - SPARE));
			}
			for (const [i, tr] of drawn) {
				if (i < first || i >= end) {
					tr.remove();
					drawn.delete(i);
				}
			}
			let next = above.nextSibling;
			for (let i = first; i < end; i++) {
				if (drawn.has(i)) {
					next = drawn.get(i).nextSibling;
					continue;
				}
				const tr = rowOf(i);
				drawn.set(i, tr);
				body.insertBefore(tr, next);
			}
			setHeight(above, lists ? 0 : first * height);
			setHeight(below, lists ? 0 : (most - end) * height);
			$("more").hidden = !narrow.matches || printing.matches || end === most;
		}

		function showMore() {
			const next = asked;
			asked += AT_ONCE;
			draw();
			if ($("more").hidden) drawn.get(next)?.querySelector("td.why button").focus();
		}

		function setHeight(tr, pixels) {
			tr.hidden = pixels <= 0;
			tr.firstChild.style.height = pixels + "px";
		}

		// ended is a name of which the end is always seen: it has a line of its own where there is no room for all in
		// one, and where even two are too short the beginning is cut off.
		function ended(name, address) {
			const cut = Math.max(0, name.length - 24), at = name.indexOf("/", cut);
			const end = at < 0 || at > name.length - 6 ? cut : at;
			return linked(el("bdi", { className: "ended", title: name }, el("span", {}, name.slice(0, end)), el("span", {}, el("span", {}, name.slice(end)))), address);
		}

		const addressOf = (row) => (data.gitlab && row[REPOSITORY][PAGE] ? data.gitlab + row[REPOSITORY][PAGE] : "");

		function rowOf(i) {
			const row = rows[shown[i]], tr = el("tr", { className: "row " + row[OUTCOME] });
			tr.setAttribute("role", "row");
			tr.setAttribute("aria-rowindex", i + 2);
			for (const th of headers) {
				const name = th.classList[0], td = el("td", { className: name });
				td.setAttribute("role", "cell");
				td.append(cellOf(row, name));
				tr.append(td);
			}
			return tr;
		}

		function cellOf(row, name) {
			switch (name) {
			case "select": return selectable(row) ? boxOf(row) : "";
			case "tag": return ended(row[TAG], addressOf(row));
			case "repository": return ended(row[REPOSITORY][PATH], addressOf(row));
			case "why": {
				const button = el("button", { type: "button", title: row[REASON] }, wordsOf(row[REASON]));
				button.addEventListener("click", () => open(row));
				return button;
			}
			case "kind": return el("span", { title: row[KIND] || "unknown" }, kindOf(row[KIND]));
			case "age": return row[MADE] && data.began ? age(row[MADE]).replace("under two", "< 2") : "–";
			case "size": return row[BYTES] ? size(row[BYTES]) : "–";
			default: return outcomeOf(row[OUTCOME]);
			}
		}

		// open shows all that is known of a tag.
		function open(row) {
			const list = $("details").querySelector("dl"), reason = reasons.get(row[REASON]);
			list.replaceChildren();
			for (const [name, value, id] of [
				["Tag", row[TAG]], ["Repository", linked(row[REPOSITORY][PATH], addressOf(row))], ["Outcome", outcomeOf(row[OUTCOME])],
				["Why", reason?.text || wordsOf(row[REASON]), row[REASON]], ["Found", row[BECAUSE]], ["Kind", data.kinds[row[KIND]]?.[1] ?? row[KIND], row[KIND]],
				["Age", row[MADE] && data.began ? age(row[MADE]) + ", " + new Date(row[MADE] * 1000).toISOString().slice(0, 10) : ""],
				["Size, not what will be freed", row[BYTES] ? size(row[BYTES]) : ""], ["Digest", row[DIGEST]],
			]) {
				if (value) list.append(el("dt", {}, name), el("dd", {}, value, id ? el("small", { className: "muted" }, " " + id) : ""));
			}
			const name = row[REPOSITORY][PATH] + ":" + row[TAG];
			if (/^[A-Za-z0-9_./:-]+$/.test(name)) list.append(el("dt", {}, "All facts and rules"), el("dd", {}, command("registry-gc explain " + name)));
			$("details").showModal();
		}

		// Tags that are marked can be selected for a plan. None is at first: what nobody has chosen stays.
		const selected = new Set(); // rows
		const selectable = (row) => packedPlan !== "" && row[OUTCOME] === "marked";
		const marked = rows.filter(selectable);
		$("selection").hidden = !packedPlan;

		function boxOf(row) {
			const box = el("input", { type: "checkbox", autocomplete: "off", checked: selected.has(row), ariaLabel: "Select " + row[REPOSITORY][PATH] + ":" + row[TAG] });
			box.addEventListener("change", () => {
				if (box.checked) selected.add(row);
				else selected.delete(row);
				saySelected();
			});
			return box;
		}

		const selectableShown = () => (packedPlan ? shown.map((i) => rows[i]).filter(selectable) : []);

		// selectShown selects all rows that search and filters have found, in sight or not. Where they
		// are all selected already it is the other way round.
		function selectShown() {
			const on = $("select-shown").checked;
			for (const row of selectableShown()) {
				if (on) selected.add(row);
				else selected.delete(row);
			}
			for (const [i, tr] of drawn) {
				const box = tr.querySelector("td.select input");
				if (box) box.checked = selected.has(rows[shown[i]]);
			}
			saySelected();
		}

		function saySelected() {
			if (!packedPlan) return;
			const here = selectableShown(), chosen = here.filter((row) => selected.has(row)).length;
			let text = count(selected.size) + " of " + count(marked.length) + " selected";
			if (selected.size > chosen) text += ", " + count(selected.size - chosen) + " of them not shown";
			if ($("selected").textContent !== text) $("selected").textContent = text;
			$("download").disabled = selected.size === 0;
			const box = $("select-shown");
			box.disabled = here.length === 0;
			box.checked = chosen > 0 && chosen === here.length;
			box.indeterminate = chosen > 0 && chosen < here.length;
		}

		async function download() {
			try {
				save("plan.jsonl", "application/octet-stream", await planOfSelected());
			} catch (error) {
				$("selected").textContent = "The plan in this page cannot be read: " + error;
			}
		}

		// planOfSelected returns the lines of a plan: the header of the run's, and the lines of what is
		// selected, each as it is there and in its order. The packed ones are in the order of the rows.
		async function planOfSelected() {
			const text = unpack(packedPlan).pipeThrough(new TextDecoderStream("utf-8", { fatal: true, ignoreBOM: true })).getReader();
			const lines = [];
			let header = "", rest = "", number = -1; // of the line in marked, the header's being -1
			for (let part = await text.read(); !part.done; part = await text.read()) {
				const ended = (rest + part.value).split("\n");
				rest = ended.pop();
				for (const line of ended) {
					if (number < 0) header = line + "\n";
					else if (selected.has(marked[number])) lines.push({ ...JSON.parse(line), line: line + "\n" });
					number++;
				}
			}
			if (number !== marked.length || rest) throw new Error("it is not whole");
			lines.sort((a, b) => compareTexts(a.project, b.project) || compareTexts(a.repository, b.repository) || compareTexts(a.tag, b.tag));
			return [header, ...lines.map(({ line }) => line)];
		}

		// compareTexts orders texts by their characters, as Go does. JavaScript compares halves of some.
		function compareTexts(a, b) {
			let i = 0;
			while (i < a.length && a[i] === b[i]) i++;
			return (a.codePointAt(i) ?? -1) - (b.codePointAt(i) ?? -1);
		}

		// csv returns the rows that are shown. A text that a spreadsheet would take for a formula is led by an
		// apostrophe, and all are in quotes.
		function csv() {
			const cell = (value) => '"' + String(value).replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""') + '"';
			const lines = [["repository", "tag", "outcome", "why", "reason", "kind", "made", "bytes", "digest", "found"]];
			for (const row of shown.map((i) => rows[i])) {
				lines.push([row[REPOSITORY][PATH], row[TAG], outcomeOf(row[OUTCOME]), wordsOf(row[REASON]), row[REASON], row[KIND],
					row[MADE] ? new Date(row[MADE] * 1000).toISOString() : "", row[BYTES] || "", row[DIGEST], row[BECAUSE]]);
			}
			return lines.map((line) => line.map(cell).join(",") + "\r\n");
		}

		function say() {
			let text = shown.length === rows.length ? tagsOf(rows.length) : count(shown.length) + " of " + tagsOf(rows.length);
			const most = limit();
			if (total.bytes[0]) text += " · " + size(total.bytes[0]);
			if (shown.length > most) text += "; the first " + count(most) + (printing.matches ? " are printed" : " can be seen, filter to see others");
			$("status").textContent = text;
			$("clear").hidden = !names.some((name) => name !== "sort" && name !== "by" && state[name]);
			saySelected();
		}

		let typing = 0;
		$("search").addEventListener("input", () => {
			clearTimeout(typing);
			typing = setTimeout(() => choose({ q: $("search").value }, true), 150);
		});
		$("clear").addEventListener("click", () => {
			$("search").value = "";
			choose({ outcome: "", why: "", where: "", age: "", kind: "", q: "" });
			$("search").focus();
		});
		for (const button of $("by").children) button.addEventListener("click", () => choose({ by: button.dataset.by }));
		$("by").hidden = !bytes.some((n) => n > 0);
		for (const th of headers) {
			const name = th.classList[0];
			if (!Object.hasOwn(columns, name)) continue;
			th.firstChild.addEventListener("click", () => {
				const down = name === "age" || name === "size"; // the oldest and the largest first
				const first = (down ? "-" : "") + name, second = (down ? "" : "-") + name;
				choose({ sort: wanted("sort") === first ? second : first });
			});
		}
		copier($("copy"), () => shown.map((i) => rows[i][REPOSITORY][PATH] + ":" + rows[i][TAG] + "\n").join(""));
		$("csv").addEventListener("click", () => save("tags.csv", "text/csv", ["\ufeff", ...csv()]));
		$("select-shown")?.addEventListener("change", selectShown);
		$("download").addEventListener("click", download);
		$("close").addEventListener("click", () => $("details").close());
		view.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
		$("more").addEventListener("click", showMore);
		$("sort").addEventListener("change", () => choose({ sort: $("sort").value }));
		let width = innerWidth;
		addEventListener("resize", () => { // of phones the height changes with each move
			if (width === innerWidth) return draw();
			width = innerWidth;
			redraw();
		});
		addEventListener("hashchange", () => {
			if (location.hash === drawnFor) return;
			parse();
			$("search").value = wanted("q");
			update();
		});
		printing.addEventListener("change", () => {
			redraw();
			say();
		});
		document.querySelector("main").hidden = false; // rows have a height only where they can be seen
		parse();
		update();
	}
})();
