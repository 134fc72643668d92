// Runs the component's jobs with gitlab-ci-local against the stand-in, as pipelines of
// a project in it, and holds what they did against what they had to do:
//
//	node run.mjs ROOT SCRATCH BIN
//
// BIN is the folder with registry-gc and gitlab-standin, SCRATCH one for the rest.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { git, makeProject, run } from "./project.mjs";

const [root, scratch, bin] = process.argv.slice(2);
assert(root && scratch && bin, "usage: node run.mjs ROOT SCRATCH BIN");
process.env.PATH = `${bin}:${process.env.PATH}`;
const token = "glpat-component-check";
const schedule = ["CI_PIPELINE_SOURCE=schedule"];
const mergeRequest = ["CI_PIPELINE_SOURCE=merge_request_event", "CI_COMMIT_REF_NAME=topic", "CI_COMMIT_BRANCH="];
// A project may have variables that are meant for something else, such as a token that deletes; a dry run stays one,
// and has the token that it is to have.
const another = "glpat-of-another-program";
const misleading = ["DRY_RUN=false", "REGISTRY_GC_DRY_RUN=false", `API_TOKEN=${another}`, `REGISTRY_GC_GITLAB_TOKEN=${another}`];
const inputs = { image: "registry.example.com/tools/registry-gc:1", rate_limit: "0", token_variable: "ADMIN_TOKEN", dry_run_token_variable: "ADMIN_TOKEN" };

const standin = spawn(join(bin, "gitlab-standin"), ["--listen", "127.0.0.1:0", "--addr-file", join(scratch, "address"), "--token", token],
	{ stdio: ["ignore", "ignore", "inherit"] });
try {
	await main(await address());
} finally {
	standin.kill();
	await once(standin, "exit");
}

async function main(instance) {
	const folder = makeProject(scratch, root, instance, inputs);
	const pipeline = async (what, variables, { token: given = token, of = folder, job = [] } = {}) => {
		const all = ["GITLAB_CI=true", ...(given ? [`ADMIN_TOKEN=${given}`] : []), ...variables];
		const got = await run(of, "--force-shell-executor", "--shell-isolation", "--ignore-predefined-vars=GITLAB_CI,CI_PIPELINE_SOURCE,CI_COMMIT_REF_NAME,CI_COMMIT_BRANCH",
			...all.flatMap((variable) => ["--variable", variable]), ...job);
		assert(!got.all.includes(token), `${what}: the token is in the log`);
		got.jobs = ended(got);
		console.log(`\n-- ${what}: ${got.jobs.join(", ") || "no job"}`);
		return got;
	};
	const reports = (job, of = folder) => join(of, ".gitlab-ci-local/artifacts", job, "reports");
	const before = await world(instance);
	const dead = before.filter((tag) => tag.includes(" dead: "));
	assert(dead.length > 0 && dead.length < before.length, "the stand-in has nothing to show");

	// What changes nothing runs side by side, as there are two processors.
	const alone = makeProject(scratch, root, instance, { ...inputs, mode: "plan", dry_run_token_variable: "READ_TOKEN" });
	const shared = makeProject(scratch, root, instance, { ...inputs, mode: "plan", parallel: 2, dry_run_token_variable: "READ_TOKEN" });
	await Promise.all([
		harmless(folder, pipeline, reports, dead),
		narrowed(instance, pipeline, reports, dead).then(() => planned(alone, shared, pipeline, reports, dead)),
	]);
	assert.deepEqual(await world(instance), before, "a run that was not to delete changed something");
	const stats = await (await fetch(`${instance}/-/standin/stats`)).json();
	assert(stats.total > 0 && stats.changing === 0, `runs that were not to delete sent ${stats.changing} requests that could change something`);

	const applied = await approved(instance, alone, shared, pipeline, reports);

	const got = await pipeline("a schedule", schedule);
	assert.deepEqual(got.jobs, ["PASS registry-gc"], got.all);
	show(got);
	folded(got);
	assert.deepEqual(await world(instance), before.filter((tag) => !dead.includes(tag)), "not exactly the dead tags are gone");
	reported(reports("registry-gc"), { dry_run: false, deleted: dead.length - applied });
	assert.equal(readdirSync(join(reports("registry-gc"), "journal")).length, 1, "what brings the tags back is not kept");
	console.log(`\nAll ${dead.length} dead tags of ${before.length} are gone, and no other.`);
}

// harmless runs what has no job, a dry run, and what ends before it has decided anything.
async function harmless(folder, pipeline, reports, dead) {
	for (const [what, variables, options] of [
		["a push to the default branch", ["CI_PIPELINE_SOURCE=push"]],
		["a schedule of another branch", [...schedule, "CI_COMMIT_REF_NAME=topic", "CI_COMMIT_BRANCH=topic"]],
		["a merge request that changes no settings", mergeRequest],
	]) {
		const got = await pipeline(what, variables, options);
		assert.deepEqual([got.code, got.jobs], [0, []], got.all);
	}

	git(folder, "add", ".gitlab-ci.yml"); // from here on the merge request changes the settings
	let got = await pipeline("a merge request that does not see the token", mergeRequest, { token: null });
	assert.deepEqual([got.code, got.jobs], [0, []], got.all);
	got = await pipeline("a merge request", [...mergeRequest, ...misleading]);
	assert.deepEqual(got.jobs, ["PASS registry-gc-dry-run"], got.all);
	show(got);
	folded(got);
	const { settings } = reported(reports("registry-gc-dry-run"), { dry_run: true, deleted: dead.length });
	for (const [name, value] of Object.entries(settings)) assert.notEqual(value, "-", `${name} was not given, and is set`);
	assert(existsSync(join(reports("registry-gc-dry-run"), "plan.jsonl")), "the plan is not kept");

	// What a runner that keeps folders has of an earlier job. gitlab-ci-local begins a job with
	// the files that git knows.
	writeFileSync(join(folder, "reports/earlier.json"), "{}");
	git(folder, "add", "reports/earlier.json");
	got = await pipeline("a schedule with a token that GitLab does not know", schedule, { token: "wrong" });
	assert.deepEqual(got.jobs, ["FAIL registry-gc, exit code 1"], got.all);
	assert.match(got.all, /GitLab does not accept the token/);
	assert(!existsSync(join(reports("registry-gc"), "earlier.json")), "an earlier job's reports are uploaded as this one's");
	got = await pipeline("a schedule without a token, in a project that has another one", [...schedule, `API_TOKEN=${token}`], { token: null });
	assert.deepEqual(got.jobs, ["FAIL registry-gc, exit code 2"], got.all);
	assert.match(got.all, /The variable ADMIN_TOKEN, which is to hold the access token, is empty in this job/);
	got = await pipeline("a schedule of a project whose variable for the scope is set to nothing", [...schedule, "GITLAB_GROUPS="]);
	assert.deepEqual(got.jobs, ["FAIL registry-gc, exit code 2"], got.all);
	assert.match(got.all, /GITLAB_GROUPS: must name at least one group/);
	got = await pipeline("a schedule whose time is over at once", [...schedule, "MAX_RUNTIME=1ns"]);
	assert.deepEqual(got.jobs, ["WARN registry-gc, exit code 3"], `allowed to fail: ${got.all}`);
}

// narrowed has a merge request that changes nothing but the file of rules, in a project that gives all inputs that
// narrow what goes: the run goes by them.
async function narrowed(instance, pipeline, reports, dead) {
	const folder = makeProject(scratch, root, instance, {
		...inputs, groups: "acme/shop, acme/platform", exclude: "acme/platform/runner, acme/shop/*/jobs/**", protected_tags: "fix-typo, spike_1", rules: "ci/rules.yaml",
		min_age: "1d", image_age: "30d", max_deletions: "900", max_runtime: "90m", merge_request_note: true, merge_request_changes: ["no-such-file"],
	});
	mkdirSync(join(folder, "ci"));
	writeFileSync(join(folder, "ci/rules.yaml"), execFileSync("registry-gc", ["rules"]));
	git(folder, "add", "ci/rules.yaml");
	const got = await pipeline("a merge request that changes the rules", mergeRequest, { of: folder });
	assert.deepEqual(got.jobs, ["PASS registry-gc-dry-run"], got.all);
	const left = dead.filter((tag) => !/runner|\/jobs\/| fix-typo | spike_1 /.test(tag));
	assert.equal(dead.length - left.length, 6, "nothing is narrowed");
	const { settings } = reported(reports("registry-gc-dry-run", folder), { dry_run: true, deleted: left.length });
	for (const [name, value] of Object.entries({
		GITLAB_GROUPS: "acme/shop, acme/platform", EXCLUDE: "acme/platform/runner, acme/shop/*/jobs/**", PROTECTED_TAGS: "fix-typo, spike_1", RULES: "ci/rules.yaml",
		VERIFY: "registry", MIN_AGE: "1d", IMAGE_AGE: "30d", MAX_DELETIONS: "900", MAX_RUNTIME: "90m",
	})) assert.equal(settings[name], value, name);
	assert.equal(settings.GITLAB_PROJECTS, undefined, "what was not given is set");
}

// planned has plans made, by one job and by several.
async function planned(alone, shared, pipeline, reports, dead) {
	const plan = [...schedule, ...misleading, `READ_TOKEN=${token}`];
	let got = await pipeline("a schedule that plans", plan, { of: alone, token: null });
	assert.deepEqual(got.jobs, ["PASS registry-gc"], got.all);
	reported(reports("registry-gc", alone), { dry_run: true, deleted: dead.length });
	got = await pipeline("a schedule whose plan several jobs share", plan, { of: shared, token: null });
	assert.deepEqual(got.jobs, ["PASS registry-gc-shard:", "PASS registry-gc-shard:", "PASS registry-gc-report"], got.all);
	reported(reports("registry-gc-report", shared), { dry_run: true, deleted: dead.length });
	got = await pipeline("an application that nobody has started", schedule, { of: alone, job: ["registry-gc-apply"] });
	assert.deepEqual(got.jobs, ["FAIL registry-gc-apply, exit code 1"], got.all);
	assert.match(got.all, /Nobody has started this job/);
}

// approved takes lines out of the plans as somebody who approves them would, and has them applied. It returns how
// many tags were deleted.
async function approved(instance, alone, shared, pipeline, reports) {
	let gone = 0;
	for (const [what, folder, plans, first, last] of [
		["an application that somebody has started", alone, 1, 0, 4], ["an application of several jobs' plans", shared, 2, 4, 6],
	]) {
		const made = plansIn(folder, /^registry-gc(-shard.*)?$/);
		assert.equal(made.length, plans, made.join("\n"));
		for (const file of made) {
			// Of a cache whose image repository has tags: of others so few are too little to tell a registry that fails.
			const [header, ...lines] = readFileSync(file, "utf8").trim().split("\n");
			const some = lines.filter((line) => line.includes("storefront/web.cache")).slice(first, last);
			writeFileSync(file, [header, ...some].join("\n") + "\n");
			writeFileSync(join(dirname(file), "earlier.json"), "{}");
		}
		const there = await world(instance);
		const got = await pipeline(what, [...schedule, "CI_JOB_MANUAL=true", "GITLAB_GROUPS="], { of: folder, job: ["registry-gc-apply"] });
		assert.deepEqual(got.jobs, ["PASS registry-gc-apply"], got.all);
		const left = new Set(await world(instance)), went = there.filter((tag) => !left.has(tag));
		assert.equal(went.length, last - first, `not exactly what the plan had is gone: ${went.join("\n")}`);
		gone += went.length;
		reported(reports("registry-gc-apply", folder), { dry_run: false, deleted: went.length });
		const kept = plansIn(folder, /^registry-gc-apply$/).map((file) => readFileSync(file, "utf8"));
		assert.deepEqual(kept, made.map((file) => readFileSync(file, "utf8")), "the plan is not what was approved");
		for (const file of plansIn(folder, /^registry-gc-apply$/)) {
			assert(!existsSync(join(dirname(file), "earlier.json")), "an earlier job's reports are uploaded as this one's");
		}
	}
	return gone;
}

// plansIn returns the plans among the artefacts of the jobs that are called like this, by folder.
function plansIn(folder, jobs) {
	const artifacts = join(folder, ".gitlab-ci-local/artifacts");
	return readdirSync(artifacts, { recursive: true }).filter((path) => basename(path) === "plan.jsonl" && jobs.test(path.split("/")[0])).sort()
		.map((path) => join(artifacts, path));
}

// address waits until the stand-in has written where it listens.
async function address() {
	for (let i = 0; i < 200 && standin.exitCode === null; i++) {
		if (existsSync(join(scratch, "address"))) return readFileSync(join(scratch, "address"), "utf8").trim();
		await sleep(50);
	}
	throw new Error("the stand-in does not listen");
}

// world returns a line for each tag that there is.
async function world(instance) {
	const text = await (await fetch(`${instance}/-/standin/world`)).text();
	return text.trim().split("\n").slice(1).map((line) => line.replace(/ +/g, " "));
}

// reported checks the artefacts of a job.
function reported(folder, want) {
	const summary = JSON.parse(readFileSync(join(folder, "summary.json"), "utf8"));
	for (const [key, value] of Object.entries(want)) assert.equal(summary[key], value, `summary.json: ${key}`);
	const lines = readFileSync(join(folder, "decisions.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line));
	assert.equal(lines.length, want.deleted, "decisions.jsonl");
	assert.match(readFileSync(join(folder, "metrics.txt"), "utf8"), /# EOF\n$/);
	for (const file of ["summary.json", "decisions.jsonl", "metrics.txt", "report.html"]) {
		assert.doesNotMatch(readFileSync(join(folder, file), "utf8"), /\x1b/, `${file} has escape sequences`);
	}
	console.log(`artefacts: summary.json, decisions.jsonl with ${lines.length} tags, metrics.txt, report.html`);
	return summary;
}

// plain returns the lines of a log without colours and other marks.
function plain(got) {
	return got.all.replace(/\x1b\[[0-9;]*[mK]/g, "").replaceAll("\r", "").split("\n");
}

// ended returns how the jobs ended, by what gitlab-ci-local prints at the end. By its own
// exit code a job that may end with one code may end with any.
function ended(got) {
	const codes = new Map(plain(got).flatMap((line) => {
		const [, job, code] = /^(\S+) .*finished in .*(?:FAIL|WARN) (\d+)/.exec(line) ?? [];
		return job ? [[job, code]] : [];
	}));
	return plain(got).flatMap((line) => {
		const [, how, job] = /^ (PASS|WARN|FAIL)\b.* (registry-gc\S*)/.exec(line) ?? [];
		return job ? [`${how} ${job}${codes.has(job) ? `, exit code ${codes.get(job)}` : ""}`] : [];
	});
}

// folded checks that the lines about tags are in a section, which gitlab-ci-local knows
// by GitLab's marks and shows in its own way.
function folded(got) {
	const lines = plain(got);
	const begins = lines.findIndex((line) => line.endsWith(" registry_gc_tags_started"));
	const ends = lines.findIndex((line) => / registry_gc_tags took \d+ms$/.test(line));
	const tags = lines.flatMap((line, i) => (/ INF tag (would be )?deleted /.test(line) ? [i] : []));
	assert(tags.length > 0 && tags.every((i) => begins >= 0 && begins < i && i < ends), `the lines about tags are not in a section: ${got.all}`);
	console.log(`section: ${tags.length} lines about tags are folded`);
}

// show prints the beginning of a job's log, and the summary's figures.
function show(got) {
	const lines = plain(got).filter((line) => /^registry-gc\S* /.test(line));
	console.log([...lines.slice(0, 7), "...", ...lines.filter((line) => /> {3}(tags|kept|marked|deleted|requests) +\d+(  api.*)?$/.test(line))].join("\n"));
}
