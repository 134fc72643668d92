// Holds the component, and the project's own pipeline, against GitLab's schema of CI/CD
// configurations, and tries inputs that are right and wrong:
//
//	node check.mjs ROOT SCRATCH
//
// ROOT is the project, SCRATCH a folder for files that are not needed afterwards.
import assert from "node:assert/strict";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import vm from "node:vm";
import Ajv from "ajv";
import yaml from "js-yaml";
import { bundle, examples, makeProject, run } from "./project.mjs";

const [root, scratch] = process.argv.slice(2);
assert(root && scratch, "usage: node check.mjs ROOT SCRATCH");
const instance = "https://gitlab.example.com";
const image = "registry.example.com/tools/registry-gc:1";
const validate = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(schema());

const [header] = yaml.loadAll(readFileSync(join(root, "templates/registry-gc.yml"), "utf8"));
valid("the component's header", header);
invalid("a header with an input of an unknown type", { spec: { inputs: { x: { type: "text" } } } });

const own = {
	image, mode: "plan", dry_run: false, groups: "acme/shop, 42,$CI_PROJECT_NAMESPACE", projects: "acme/a-b.c_d", exclude: "acme/old/**, */x", protected_tags: "stable, v1.x",
	rules: ".gitlab/rules.yaml", verify: "api", min_age: "1d12h", image_age: "0", max_deletions: "500", max_runtime: "90m", rate_limit: "0.5", parallel: 3,
	token_variable: "ADMIN_TOKEN", dry_run_token_variable: "READ_TOKEN", merge_request_dry_run: false, merge_request_changes: ["ci/*.yml", "**/x"], merge_request_note: true,
	schedule_rules: [{ if: '$CI_PIPELINE_SOURCE == "web"', when: "manual" }], stage: "deploy", tags: ["private", "a: b"], job: "cleanup",
	report_dir: "out/registry-gc", resource_group: "production/registry",
};
assert.deepEqual(Object.keys(own).sort(), Object.keys(header.spec.inputs).sort(), "not every input is tried");

// What is wrong, and which of GitLab's checks refuses it. What a pattern lets through is a test of
// deploy/test, where patterns are matched the way that GitLab does it.
const wrong = [
	[{ image: undefined }, "required"], [{ groups: "" }, "regex"], [{ mode: "" }, "options"], [{ parallel: "2" }, "not a number"],
	[{ dry_run: "yes" }, "not a boolean"], [{ tags: "private" }, "not a array"],
];
const [shortest, approval, environment, full] = examples(root, "gitlab-pipelines.md");
const [shared] = examples(root, "several-machines.md");
assert.deepEqual(Object.keys(shortest.inputs), ["image"], "the shortest example is not the shortest");
assert.equal(shared.inputs.parallel, 4, "the documents have no example of several jobs");

// Two at a time, as there are processors for.
const previews = [
	() => composed("the documents' shortest example, with the component's one needed input", shortest).then(byDefault),
	() => composed("the component with every input set", { inputs: own }).then(everyInput),
	() => composed("the component that deletes nothing", { inputs: { ...own, mode: "run", dry_run: true, parallel: 1 } }).then(dryRun),
	() => composed("the documents' example of a plan, with the environment", { inputs: approval.inputs, jobs: environment.jobs }).then(approved),
	() => composed("the documents' full example", full).then(fullExample),
	() => composed("the documents' example of several jobs", shared).then(severalJobs),
	ownPipeline,
	...wrong.map(([inputs, why]) => () => refused(inputs, why)),
];
await Promise.all([worker(), worker()]);
console.log(`refused: ${wrong.length} sets of inputs that are wrong`);

async function worker() {
	for (let next; (next = previews.shift()); ) await next();
}

// schema takes GitLab's schema out of gitlab-ci-local, which has it as an object in its
// bundle. It is data: an object that is not ends here with an error.
function schema() {
	const text = readFileSync(bundle, "utf8");
	const start = text.indexOf('{$schema:"http://json-schema.org/draft-07/schema#",$id:"https://gitlab.com/.gitlab-ci.yml"');
	assert(start > 0, "gitlab-ci-local does not have GitLab's schema where it used to");
	let depth = 0, end = start;
	const token = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|[{}]/gs;
	token.lastIndex = start;
	do {
		const found = token.exec(text);
		depth += { "{": 1, "}": -1 }[found[0]] ?? 0;
		end = token.lastIndex;
	} while (depth > 0);
	const found = JSON.parse(JSON.stringify(vm.runInNewContext(`(${text.slice(start, end)})`, {}, { timeout: 1000 })));
	assert(found.properties.spec && found.definitions.job_template.properties.resource_group, "this is not GitLab's schema");
	delete found.definitions.tags.minItems; // GitLab itself takes an empty list
	console.log(`schema: ${found.$id}, ${Object.keys(found.definitions).length} definitions`);
	return found;
}

function valid(what, document) {
	assert(validate(document), `${what}: ${JSON.stringify(validate.errors?.slice(0, 5), null, 1)}`);
	console.log(`valid: ${what}`);
}

function invalid(what, document) {
	assert(!validate(document), `accepted: ${what}`);
	console.log(`refused: ${what}`);
}

function preview({ inputs, jobs }) {
	return run(makeProject(scratch, root, instance, inputs, jobs), "--preview");
}

// composed returns the configuration that a project with these inputs and jobs ends up with.
async function composed(what, example) {
	const got = await preview(example);
	assert.equal(got.code, 0, got.all);
	const document = yaml.load(got.stdout);
	valid(what, document);
	assert.doesNotMatch(got.stdout, /\$\[\[/, `an input was not filled in: ${what}`);
	return document;
}

async function refused(inputs, why) {
	const got = await preview({ inputs: { image, ...inputs } });
	assert.notEqual(got.code, 0, `accepted: ${JSON.stringify(inputs)}`);
	const [input] = Object.keys(inputs);
	assert.match(got.all, new RegExp(`${input}.* input: .*${why}`), `refused for another reason: ${JSON.stringify(inputs)}: ${got.all}`);
}

function jobs(document) {
	return Object.keys(document).filter((name) => document[name].script);
}

function byDefault(document) {
	assert.deepEqual(jobs(document), ["registry-gc", "registry-gc-shard", "registry-gc-report", "registry-gc-apply", "registry-gc-dry-run"]);
	const { "registry-gc": run, "registry-gc-shard": shard, "registry-gc-report": report, "registry-gc-apply": apply, "registry-gc-dry-run": dry } = document;
	const schedules = header.spec.inputs.schedule_rules.default;
	assert.deepEqual(run.rules.flat(), [{ if: '"1" != "1"', when: "never" }, ...schedules]);
	for (const job of [shard, report]) assert.deepEqual(job.rules[0], { if: '"1" == "1"', when: "never" }, "a run is shared out that is one job's");
	assert.deepEqual(apply.rules[0], { if: '"run" != "plan" || "false" == "true"', when: "never" }, "a plan is applied where none is made");
	assert.deepEqual(dry.rules.map(({ changes }) => changes), [[".gitlab-ci.yml"], ["default"]]);
	assert.equal(dry.variables.MERGE_REQUEST_NOTE, "false");
	for (const job of [run, dry]) assert.deepEqual([job.needs, job.tags, job.inherit.default], [[], [], false], "a job waits for others, or takes over what is theirs");
	assert.equal(run.script.at(-1), "registry-gc");
	invalid("the component with artifacts that nobody keeps", { ...document, "registry-gc": { ...run, artifacts: { when: "sometimes" } } });
	invalid("the component with a resource group that is a list", { ...document, "registry-gc": { ...run, resource_group: [] } });
	invalid("the component with no job in parallel", { ...document, "registry-gc-shard": { ...shard, parallel: 0 } });
}

function everyInput(document) {
	assert.deepEqual(jobs(document), ["cleanup", "cleanup-shard", "cleanup-report", "cleanup-apply", "cleanup-dry-run"]);
	const { cleanup: plan, "cleanup-shard": shard, "cleanup-report": report, "cleanup-apply": apply, "cleanup-dry-run": dry } = document;
	assert.deepEqual(plan.variables, {
		GIT_STRATEGY: "fetch", GIT_DEPTH: "1", GIT_SUBMODULE_STRATEGY: "none", GITLAB_GROUPS: own.groups, GITLAB_PROJECTS: own.projects, EXCLUDE: own.exclude,
		PROTECTED_TAGS: own.protected_tags, RULES: own.rules, VERIFY: own.verify, MIN_AGE: own.min_age, IMAGE_AGE: own.image_age, MAX_DELETIONS: own.max_deletions,
		MAX_RUNTIME: own.max_runtime, RATE_LIMIT: own.rate_limit, REPORT_DIR: own.report_dir,
	}, "GitLab takes strings and whole numbers for variables, nothing else");
	for (const job of [plan, shard, report, apply, dry]) assert.deepEqual([job.tags, job.stage, job.artifacts.paths], [own.tags, "deploy", ["out/registry-gc/"]]);
	assert.equal(dry.variables.MERGE_REQUEST_NOTE, "true");
	assert.match(dry.rules[0].if, /"false" == "true"$/);
	assert.deepEqual(dry.rules.map(({ changes }) => changes), [own.merge_request_changes, [own.rules]]);
	assert.deepEqual(plan.rules.flat(), [{ if: '"3" != "1"', when: "never" }, ...own.schedule_rules]);
	for (const job of [plan, shard]) {
		assert.match(job.script.join("\n"), /\$\{READ_TOKEN\}"\n(.*\n){2}registry-gc plan$/);
		assert.doesNotMatch(JSON.stringify(job), /ADMIN_TOKEN/, "a job that plans has the token that deletes");
	}
	assert.deepEqual([plan, shard, report, apply, dry].map((job) => job.resource_group), ["production/registry-dry-run", "production/registry-shard-$CI_NODE_INDEX", undefined,
		"production/registry", "production/registry-dry-run"]);
}

function dryRun({ cleanup: run, "cleanup-apply": apply }) {
	assert.match(run.script.join("\n"), /\$\{READ_TOKEN\}"\n(.*\n){2}registry-gc plan$/);
	assert.doesNotMatch(JSON.stringify(run), /ADMIN_TOKEN/, "a dry run has the token that deletes");
	assert.equal(apply.rules[0].if, '"run" != "plan" || "true" == "true"', "what was not to be deleted is applied");
}

// approved checks the jobs of a plan that somebody approves: one makes it, with a token that
// cannot delete, and one waits for somebody to start it.
function approved({ "registry-gc": plan, "registry-gc-apply": apply }) {
	assert.equal(plan.script.at(-1), "registry-gc plan");
	assert.match(plan.script.join("\n"), /\$\{READING_TOKEN\}/);
	assert.match(apply.script.at(-1), /^registry-gc apply /);
	assert.match(apply.script.join("\n"), /\$\{DELETING_TOKEN\}/);
	assert.equal(apply.when, "manual");
	assert.deepEqual(apply.rules.flat(), [{ if: '"plan" != "plan" || "false" == "true"', when: "never" }, ...header.spec.inputs.schedule_rules.default]);
	assert.deepEqual(apply.needs.map(({ job, artifacts, optional }) => [job, artifacts ?? true, optional]), [["registry-gc", true, true], ["registry-gc-shard", true, true]],
		"the plan does not arrive");
	for (const key of ["image", "allow_failure", "artifacts", "timeout", "variables"]) assert.deepEqual(apply[key], plan[key], key);
	assert.equal(apply.environment.name ?? apply.environment, "container-registry");
	assert.deepEqual([apply.when, apply.script.length], ["manual", 6], "the job is not the component's any more");
}

// fullExample checks that nothing but the two jobs beside it is added to the component's.
function fullExample({ "registry-gc": plan, "registry-gc-apply": apply, "registry-gc-tell": tell }) {
	assert.deepEqual([plan.script.at(-1), apply.when, apply.environment.name ?? apply.environment], ["registry-gc plan", "manual", "container-registry"]);
	assert.deepEqual([tell.rules, tell.stage], [header.spec.inputs.schedule_rules.default, plan.stage], "it tells of what is not planned");
	assert.deepEqual([tell.needs[0].job, tell.needs[0].artifacts], ["registry-gc", false]);
	assert.match(tell.script[0], /^wget .* "\$CHAT_WEBHOOK"$/);
}

// severalJobs checks a run that several jobs share.
function severalJobs({ "registry-gc": one, "registry-gc-shard": shard, "registry-gc-report": report }) {
	assert.equal(one.rules[0].if, '"4" != "1"');
	for (const job of [shard, report]) assert.equal(job.rules[0].if, '"4" == "1"');
	assert.deepEqual([shard.parallel, shard.resource_group], [4, "registry-gc-shard-$CI_NODE_INDEX"], "shards in one resource group run one after the other");
	assert.deepEqual([report.needs[0].job, report.needs[0].artifacts ?? true, report.when], ["registry-gc-shard", true, "always"], "the shards' reports do not arrive");
	assert.deepEqual([shard.before_script, report.before_script], [one.before_script, []], "shards keep earlier reports, or what merges them removes theirs");
	for (const job of [shard, report]) {
		for (const key of ["image", "allow_failure", "artifacts", "timeout", "variables"]) assert.deepEqual(job[key], one[key], key);
	}
}

// ownPipeline checks what the project itself runs.
async function ownPipeline() {
	const folder = makeProject(scratch, root, instance, { image });
	cpSync(join(root, ".gitlab-ci.yml"), join(folder, ".gitlab-ci.yml"));
	const got = await run(folder, "--preview");
	assert.equal(got.code, 0, got.all);
	const document = yaml.load(got.stdout);
	valid("the project's own pipeline", document);
	const names = jobs(document);
	assert(names.includes("test") && names.includes("registry-gc") && names.includes("registry-gc-dry-run"), names.join());
	for (const job of ["registry-gc", "registry-gc-dry-run"]) {
		const { VERIFY, GITLAB_PROJECTS } = document[job].variables;
		assert.deepEqual([VERIFY, GITLAB_PROJECTS], ["registry", "$CI_PROJECT_PATH"], `${job} may delete the image it runs on`);
	}
	for (const build of document.images.script.filter((line) => line.startsWith("docker buildx build"))) {
		assert.match(build, / --provenance=false /, "GitLab cannot show images with attestations");
	}
	// Only a release that the keyword has made is in the CI/CD catalogue, and only where it is there
	// already do programs become links of it.
	const { release, binaries, chart } = document;
	assert.equal(release.release.tag_name, "$CI_COMMIT_TAG");
	assert.deepEqual(binaries.needs.map(({ job }) => job), ["release"]);
	const before = release.needs.map(({ job }) => job);
	for (const job of ["test", "lint", "snapshot", "images", "chart"]) assert(before.includes(job), `a release does not wait for ${job}`);
	for (const job of [release, binaries, chart]) {
		assert.deepEqual(job.rules, [{ if: "$CI_COMMIT_TAG =~ /^v[0-9]+\\.[0-9]+\\.[0-9]+(-[0-9A-Za-z.-]+)?$/" }], "a branch releases");
	}
	for (const [name, file] of [["snapshot", ".ci/run"], ["release", ".ci/release-notes"]]) {
		assert(JSON.stringify(document[name].script).includes(file), `${name} does not run ${file}`);
	}
	console.log(`  its jobs: ${names.join(", ")}`);
}
