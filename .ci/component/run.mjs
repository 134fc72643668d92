// Runs the component's jobs with gitlab-ci-local against the stand-in, as pipelines of
// a project in it, and holds what they did against what they had to do:
//
//	node run.mjs ROOT SCRATCH BIN
//
// BIN is the folder with registry-gc and gitlab-standin, SCRATCH one for the rest.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { makeProject, run, sharedOut } from "./project.mjs";

const [root, scratch, bin] = process.argv.slice(2);
assert(root && scratch && bin, "usage: node run.mjs ROOT SCRATCH BIN");
process.env.PATH = `${bin}:${process.env.PATH}`;
const token = "glpat-component-check";
const schedule = ["CI_PIPELINE_SOURCE=schedule"];
const mergeRequest = ["CI_PIPELINE_SOURCE=merge_request_event", "CI_COMMIT_REF_NAME=topic", "CI_COMMIT_BRANCH="];
// A project may have variables that are meant for something else; a dry run stays one.
const misleading = ["DRY_RUN=false"];

const standin = spawn(join(bin, "gitlab-standin"), ["--listen", "127.0.0.1:0", "--addr-file", join(scratch, "address"), "--token", token],
	{ stdio: ["ignore", "ignore", "inherit"] });
try {
	await main(await address());
} finally {
	standin.kill();
	await once(standin, "exit");
}

async function main(instance) {
	const folder = makeProject(scratch, root, instance, {
		image: "registry.example.com/tools/registry-gc:1", rate_limit: "0", token_variable: "ADMIN_TOKEN", dry_run_token_variable: "ADMIN_TOKEN",
	});
	const pipeline = (what, variables, { token: given = token, of = folder, job = [] } = {}) => {
		const all = ["GITLAB_CI=true", ...(given ? [`ADMIN_TOKEN=${given}`] : []), ...variables];
		const got = run(of, "--force-shell-executor", "--shell-isolation", "--ignore-predefined-vars=GITLAB_CI,CI_PIPELINE_SOURCE,CI_COMMIT_REF_NAME,CI_COMMIT_BRANCH",
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

	for (const [what, variables, options] of [
		["a push to the default branch", ["CI_PIPELINE_SOURCE=push"]],
		["a schedule of another branch", [...schedule, "CI_COMMIT_REF_NAME=topic", "CI_COMMIT_BRANCH=topic"]],
		["a merge request that does not see the token", mergeRequest, { token: null }],
	]) {
		const got = pipeline(what, variables, options);
		assert.deepEqual([got.code, got.jobs], [0, []], got.all);
	}

	let got = pipeline("a merge request", [...mergeRequest, ...misleading]);
	assert.deepEqual(got.jobs, ["PASS registry-gc-dry-run"], got.all);
	show(got);
	folded(got);
	assert.deepEqual(await world(instance), before, "the dry run changed something");
	const stats = await (await fetch(`${instance}/-/standin/stats`)).json();
	assert(stats.total > 0 && stats.changing === 0, `the dry run sent ${stats.changing} requests that could change something`);
	reported(reports("registry-gc-dry-run"), { dry_run: true, deleted: dead.length });

	// What a runner that keeps folders has of an earlier job. gitlab-ci-local begins a job with
	// the files that git knows.
	writeFileSync(join(folder, "reports/earlier.json"), "{}");
	execFileSync("git", ["add", "reports/earlier.json"], { cwd: folder });
	got = pipeline("a schedule with a token that GitLab does not know", schedule, { token: "wrong" });
	assert.deepEqual(got.jobs, ["FAIL registry-gc, exit code 1"], got.all);
	assert.match(got.all, /GitLab does not accept the token/);
	assert(!existsSync(join(reports("registry-gc"), "earlier.json")), "an earlier job's reports are uploaded as this one's");
	got = pipeline("a schedule without a token", schedule, { token: null });
	assert.deepEqual(got.jobs, ["FAIL registry-gc, exit code 2"], got.all);
	assert.match(got.all, /GITLAB_TOKEN: must be an access token/);
	got = pipeline("a schedule of a project whose variable for the scope is set to nothing", [...schedule, "GITLAB_GROUPS="]);
	assert.deepEqual(got.jobs, ["FAIL registry-gc, exit code 2"], got.all);
	assert.match(got.all, /GITLAB_GROUPS: must name a group at least/);
	got = pipeline("a schedule whose time is over at once", [...schedule, "MAX_RUNTIME=1ns"]);
	assert.deepEqual(got.jobs, ["WARN registry-gc, exit code 3"], `allowed to fail: ${got.all}`);
	assert.deepEqual(await world(instance), before, "a run that failed changed something");

	const example = sharedOut(root);
	const shared = makeProject(scratch, root, instance, example.inputs, example.jobs);
	got = pipeline("a schedule whose run several jobs share", [...schedule, `GITLAB_TOKEN=${token}`, "RATE_LIMIT=0", "DRY_RUN=true"], { of: shared });
	assert.deepEqual(got.jobs, [...Array(example.jobs["registry-gc-shard"].parallel).fill("PASS registry-gc-shard:"), "PASS registry-gc-report"], got.all);
	reported(reports("registry-gc-report", shared), { dry_run: true, deleted: dead.length });

	const applied = await planned(instance, pipeline, reports, before);

	got = pipeline("a schedule", schedule);
	assert.deepEqual(got.jobs, ["PASS registry-gc"], got.all);
	show(got);
	folded(got);
	assert.deepEqual(await world(instance), before.filter((tag) => !dead.includes(tag)), "not exactly the dead tags are gone");
	reported(reports("registry-gc"), { dry_run: false, deleted: dead.length - applied });
	console.log(`\nAll ${dead.length} dead tags of ${before.length} are gone, and no other.`);
}

// planned has a plan made, takes lines out of it as somebody who approves it would, and has it
// applied. It returns how many tags were deleted.
async function planned(instance, pipeline, reports, before) {
	const folder = makeProject(scratch, root, instance, {
		image: "registry.example.com/tools/registry-gc:1", mode: "plan", rate_limit: "0", token_variable: "ADMIN_TOKEN", dry_run_token_variable: "READ_TOKEN",
	});
	const of = { of: folder, token: null };
	const byHand = { of: folder, job: ["registry-gc-apply"] };
	const plan = join(reports("registry-gc", folder), "plan.jsonl");
	let got = pipeline("a schedule that plans", [...schedule, ...misleading, `READ_TOKEN=${token}`], of);
	assert.deepEqual(got.jobs, ["PASS registry-gc"], got.all);
	assert.deepEqual(await world(instance), before, "a plan changed something");
	const lines = readFileSync(plan, "utf8").trim().split("\n");
	reported(reports("registry-gc", folder), { dry_run: true, deleted: lines.length - 1 });

	got = pipeline("an application that nobody has started", schedule, byHand);
	assert.deepEqual(got.jobs, ["FAIL registry-gc-apply, exit code 1"], got.all);
	assert.match(got.all, /Nobody has started this job/);
	assert.deepEqual(await world(instance), before, "a plan was applied that nobody has approved");

	// Of a cache whose image repository has tags: of others so few are too little to tell a registry that fails.
	const some = lines.slice(1).filter((line) => line.includes("storefront/web.cache")).slice(0, 5);
	const kept = [lines[0], ...some].join("\n") + "\n";
	writeFileSync(plan, kept);
	writeFileSync(join(reports("registry-gc", folder), "earlier.json"), "{}");
	got = pipeline("an application that somebody has started", [...schedule, "CI_JOB_MANUAL=true", "GITLAB_GROUPS="], byHand);
	assert.deepEqual(got.jobs, ["PASS registry-gc-apply"], got.all);
	const left = new Set(await world(instance)), gone = before.filter((tag) => !left.has(tag));
	assert.equal(gone.length, 5, `not exactly what the plan had is gone: ${gone.join("\n")}`);
	reported(reports("registry-gc-apply", folder), { dry_run: false, deleted: 5 });
	assert.equal(readFileSync(join(reports("registry-gc-apply", folder), "plan.jsonl"), "utf8"), kept, "the plan is not what was approved");
	assert(!existsSync(join(reports("registry-gc-apply", folder), "earlier.json")), "an earlier job's reports are uploaded as this one's");

	writeFileSync(plan, lines[0] + "\n");
	got = pipeline("an application of an empty plan", [...schedule, "CI_JOB_MANUAL=true"], byHand);
	assert.deepEqual(got.jobs, ["PASS registry-gc-apply"], got.all);
	return gone.length;
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
	const tags = lines.flatMap((line, i) => (/ INF tag (marked|deleted) /.test(line) ? [i] : []));
	assert(tags.length > 0 && tags.every((i) => begins >= 0 && begins < i && i < ends), `the lines about tags are not in a section: ${got.all}`);
	console.log(`section: ${tags.length} lines about tags are folded`);
}

// show prints the beginning of a job's log, and the summary's figures.
function show(got) {
	const lines = plain(got).filter((line) => /^registry-gc\S* /.test(line));
	console.log([...lines.slice(0, 7), "...", ...lines.filter((line) => /> {3}(tags|kept|marked|deleted|requests) +\d+(  api.*)?$/.test(line))].join("\n"));
}
