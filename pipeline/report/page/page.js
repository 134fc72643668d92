// The table of decisions. Only the rows that can be seen are in the document, so that
// 100,000 of them scroll as fast as ten. All text goes through textContent: names come
// from the server and are never markup.
"use strict";
(() => {
	const root = document.getElementById("decisions");
	if (!root) return;

	// The places of a row's values, as Go writes them.
	const REPOSITORY = 0, TAG = 1, OUTCOME = 2, REASON = 3, KIND = 4, BYTES = 5, DIGEST = 6, DETAIL = 7, MADE = 8;
	const columns = { tag: TAG, repository: REPOSITORY, outcome: OUTCOME, reason: REASON, kind: KIND, age: MADE, bytes: BYTES };
	const outcomeClass = { deleted: "gone", marked: "gone", failed: "failed", undecided: "undecided" };

	// Browsers limit the height of a page: beyond that many rows one has to search.
	const MOST_ROWS = 150000;
	// Rows drawn above and below those in sight, and rows that are printed.
	const SPARE = 10, PRINTED = 200;

	const $ = (id) => document.getElementById(id);
	const view = $("view"), body = view.querySelector("tbody");
	const packedPlan = takePlan($("plan"));
	const headers = [...view.querySelectorAll("th")];
	const count = (n) => n.toLocaleString("en");
	const began = Date.parse($("began").textContent); // of the run: ages are those of then

	const rows = readRows($("rows"));
	const words = []; // what a row is searched by, made when it is first looked for
	let shown = rows;
	let sorting = null; // {column, down}

	// takePlan returns the packed lines of the run's plan, "" where tags cannot be selected: the run made
	// no plan, or the browser cannot unpack it.
	function takePlan(source) {
		if (source) source.remove();
		if (source && window.DecompressionStream) {
			view.querySelector("table").classList.add("selects");
			return source.textContent;
		}
		for (const element of [$("selection"), view.querySelector("th.select")]) element?.remove();
		return "";
	}

	// readRows puts texts in the place of their numbers. A text is written out where it
	// first comes.
	function readRows(source) {
		const all = JSON.parse(source.textContent), names = [];
		source.remove();
		for (const row of all) {
			for (const i of [REPOSITORY, OUTCOME, REASON, KIND, DETAIL]) {
				if (typeof row[i] === "number") row[i] = names[row[i]];
				else names.push(row[i]);
			}
		}
		return all;
	}

	function fillSelect(id, column) {
		const counts = new Map();
		for (const row of rows) counts.set(row[column], (counts.get(row[column]) || 0) + 1);
		for (const [value, n] of [...counts].sort((a, b) => b[1] - a[1])) {
			const option = document.createElement("option");
			option.value = "=" + value; // so that an empty value differs from "all"
			option.textContent = (value || "unknown") + " (" + count(n) + ")";
			$(id).append(option);
		}
	}

	// select finds the rows that have every word and every choice.
	function select() {
		const wanted = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
		const choices = [["outcome", OUTCOME], ["reason", REASON], ["kind", KIND]]
			.map(([id, column]) => [column, $(id).value]).filter(([, value]) => value);
		if (wanted.length && !words.length) {
			for (const row of rows) {
				words.push([row[TAG], row[REPOSITORY], row[REASON], row[OUTCOME], row[KIND], row[DIGEST], row[DETAIL]].join("\n").toLowerCase());
			}
		}
		shown = rows.filter((row, i) =>
			choices.every(([column, value]) => "=" + row[column] === value) &&
			wanted.every((word) => words[i].includes(word)));
		sort();
	}

	function sort() {
		if (sorting) {
			const { column, down } = sorting, sign = down ? -1 : 1;
			shown = [...shown].sort((a, b) => sign * (column === MADE ? byAge(a[MADE], b[MADE]) : compare(a[column], b[column])));
		}
		view.scrollTop = 0; // before rows are drawn, which are those in sight
		redraw();
		say();
	}

	const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

	// byAge puts the youngest first: what was made last. What has no date comes before all.
	const byAge = (a, b) => (a && b ? compare(b, a) : compare(!!a, !!b));

	function say() {
		let text = shown.length === rows.length ? count(rows.length) + (rows.length === 1 ? " tag" : " tags")
			: count(shown.length) + " of " + count(rows.length) + " tags";
		const most = limit();
		if (shown.length > most) text += "; the first " + count(most) + (printing.matches ? " are printed" : " can be seen, search to see others");
		$("status").textContent = text;
		saySelected();
	}

	const printing = matchMedia("print");
	const limit = () => (printing.matches ? PRINTED : MOST_ROWS);

	// What is drawn: rows by their place in shown, between two empty ones that are as
	// high as all that is not drawn.
	const drawn = new Map();
	const above = space(), below = space();
	body.append(above, below);
	let height = 1; // of a row

	function space() {
		const tr = document.createElement("tr"), td = document.createElement("td");
		tr.className = "space";
		tr.setAttribute("aria-hidden", "true");
		td.colSpan = headers.length;
		tr.append(td);
		return tr;
	}

	function redraw() {
		for (const tr of drawn.values()) tr.remove();
		drawn.clear();
		const most = Math.min(shown.length, limit());
		view.querySelector("table").setAttribute("aria-rowcount", most + 1);
		if (most > 0) {
			const probe = rowOf(0);
			body.append(probe);
			height = probe.getBoundingClientRect().height;
			probe.remove();
		}
		draw();
	}

	// draw adds the rows that came in sight and removes those that left it. The others
	// stay in place, and with them the focus.
	function draw() {
		const most = Math.min(shown.length, limit());
		let first = 0, end = most;
		if (!printing.matches) {
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
		setHeight(above, first * height);
		setHeight(below, (most - end) * height);
	}

	function setHeight(tr, pixels) {
		tr.hidden = pixels <= 0 || printing.matches;
		tr.firstChild.style.height = pixels + "px";
	}

	function rowOf(i) {
		const row = shown[i], tr = document.createElement("tr");
		tr.className = "row " + (outcomeClass[row[OUTCOME]] || "");
		tr.setAttribute("role", "row");
		tr.setAttribute("aria-rowindex", i + 2);
		for (const th of headers) {
			const td = document.createElement("td"), name = th.classList[0];
			td.className = name;
			td.setAttribute("role", "cell");
			if (name === "select") {
				if (selectable(row)) td.append(boxOf(row));
			} else if (name === "tag") {
				const button = document.createElement("button");
				button.type = "button";
				button.textContent = row[TAG];
				button.addEventListener("click", () => open(row));
				td.append(button);
			} else {
				td.textContent = valueOf(row, columns[name]);
			}
			tr.append(td);
		}
		return tr;
	}

	function valueOf(row, column) {
		if (column === BYTES) return row[BYTES] ? size(row[BYTES]) : "–";
		if (column === MADE) return row[MADE] ? age(row[MADE]) : "–";
		return row[column] || (column === KIND ? "unknown" : "");
	}

	// age says how old what was made on a day was when the run began, as Go says it in the summary.
	function age(made) {
		const days = Math.floor((began - Date.parse(made)) / 86400000);
		for (const [length, unit] of [[365, "years"], [365 / 12, "months"], [1, "days"]]) {
			const n = Math.floor(days / length);
			if (n >= 2) return n + " " + unit;
		}
		return "under 2 days";
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

	// Tags that are marked can be selected for a plan. None is at first: what nobody has chosen stays.
	const selected = new Set(); // rows
	const selectable = (row) => packedPlan !== "" && row[OUTCOME] === "marked";
	const marked = rows.filter(selectable);

	function boxOf(row) {
		const box = document.createElement("input");
		box.type = "checkbox";
		box.autocomplete = "off";
		box.checked = selected.has(row);
		box.setAttribute("aria-label", "Select " + row[REPOSITORY] + ":" + row[TAG]);
		box.addEventListener("change", () => {
			if (box.checked) selected.add(row);
			else selected.delete(row);
			saySelected();
		});
		return box;
	}

	// selectShown selects all rows that search and filters have found, in sight or not. Where they
	// are all selected already it is the other way round.
	function selectShown() {
		const on = $("select-shown").checked;
		for (const row of shown.filter(selectable)) {
			if (on) selected.add(row);
			else selected.delete(row);
		}
		for (const [i, tr] of drawn) {
			const box = tr.querySelector("td.select input");
			if (box) box.checked = selected.has(shown[i]);
		}
		saySelected();
	}

	function saySelected() {
		if (!packedPlan) return;
		const here = shown.filter(selectable), chosen = here.filter((row) => selected.has(row)).length;
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
			const plan = new Blob(await planOfSelected(), { type: "application/octet-stream" });
			const link = document.createElement("a");
			link.href = URL.createObjectURL(plan);
			link.download = "plan.jsonl";
			link.click();
			setTimeout(() => URL.revokeObjectURL(link.href), 60000);
		} catch (error) {
			$("selected").textContent = "The plan in this page cannot be read: " + error;
		}
	}

	// planOfSelected returns the lines of a plan: the header of the run's, and the lines of what is
	// selected, each as it is there and in its order. The packed ones are in the order of the rows.
	async function planOfSelected() {
		const bytes = Uint8Array.from(atob(packedPlan), (c) => c.charCodeAt(0));
		const text = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))
			.pipeThrough(new TextDecoderStream("utf-8", { fatal: true, ignoreBOM: true })).getReader();
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

	// open shows one decision whole: a row of the table has one line for each value.
	function open(row) {
		const list = $("details").querySelector("dl");
		list.replaceChildren();
		for (const [name, column] of [["Tag", TAG], ["Repository", REPOSITORY], ["Outcome", OUTCOME], ["Reason", REASON],
			["Kind", KIND], ["Age", MADE], ["References, not what will be freed", BYTES], ["Digest", DIGEST], ["Detail", DETAIL]]) {
			if (!row[column] && column !== KIND) continue;
			const dt = document.createElement("dt"), dd = document.createElement("dd");
			dt.textContent = name;
			dd.textContent = valueOf(row, column) + (column === MADE ? ", made on " + row[MADE] : "");
			list.append(dt, dd);
		}
		$("details").showModal();
	}

	function sortBy(th) {
		const column = columns[th.classList[0]];
		sorting = { column, down: sorting && sorting.column === column ? !sorting.down : column === BYTES || column === MADE };
		for (const other of headers) other.removeAttribute("aria-sort");
		th.setAttribute("aria-sort", sorting.down ? "descending" : "ascending");
		sort();
	}

	let typing = 0;
	$("search").addEventListener("input", () => {
		clearTimeout(typing);
		typing = setTimeout(select, 150);
	});
	for (const [id, column] of [["outcome", OUTCOME], ["reason", REASON], ["kind", KIND]]) {
		fillSelect(id, column);
		$(id).addEventListener("change", select);
	}
	for (const th of headers) {
		if (th.classList[0] in columns) th.firstChild.addEventListener("click", () => sortBy(th));
	}
	if (packedPlan) {
		$("select-shown").addEventListener("change", selectShown);
		$("download").addEventListener("click", download);
	}
	$("close").addEventListener("click", () => $("details").close());
	view.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
	addEventListener("resize", redraw);
	printing.addEventListener("change", () => {
		redraw();
		say();
	});

	root.hidden = false;
	redraw();
	say();
})();
