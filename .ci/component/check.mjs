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
import { bundle, makeProject, run, sharedOut } from "./project.mjs";

const [root, scratch] = process.argv.slice(2);
assert(root && scratch, "usage: node check.mjs ROOT SCRATCH");
const instance = "https://gitlab.example.com";
const image = "registry.example.com/tools/registry-gc:1";
const validate = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(schema());

const [header] = yaml.loadAll(readFileSync(join(root, "templates/registry-gc.yml"), "utf8"));
valid("the component's header", header);
invalid("a header with an input of an unknown type", { spec: { inputs: { x: { type: "text" } } } });

const least = composed("the component with its one needed input", { image });
assert.deepEqual(jobs(least), ["registry-gc", "registry-gc-apply", "registry-gc-dry-run"]);
assert.deepEqual(least["registry-gc-apply"].rules[0], { if: '"run" != "plan"', when: "never" }, "a plan is applied where none is made");
const own = {
	image, mode: "plan", stage: "deploy", job: "cleanup", groups: "acme/shop, 42,$CI_PROJECT_NAMESPACE", projects: "acme/a-b.c_d", rate_limit: "0.5",
	report_dir: "out/registry-gc", token_variable: "ADMIN_TOKEN", dry_run_token_variable: "READ_TOKEN", schedule_rules: [{ if: '$CI_PIPELINE_SOURCE == "web"', when: "manual" }],
	merge_request_dry_run: false, resource_group: "production/registry",
};
assert.deepEqual(Object.keys(own).sort(), Object.keys(header.spec.inputs).sort(), "not every input is tried");
const full = composed("the component with every input set", own);
assert.deepEqual(jobs(full), ["cleanup", "cleanup-apply", "cleanup-dry-run"]);
approved(full);
environment();
assert.equal(full.cleanup.variables.RATE_LIMIT, "0.5", "GitLab takes strings and whole numbers for variables, nothing else");
assert.deepEqual(full.cleanup.rules, own.schedule_rules);
assert.doesNotMatch(JSON.stringify(full), /\$\[\[/, "an input was not filled in");

invalid("the component with artifacts that nobody keeps", { ...least, "registry-gc": { ...least["registry-gc"], artifacts: { when: "sometimes" } } });
invalid("the component with a resource group that is a list", { ...least, "registry-gc": { ...least["registry-gc"], resource_group: [] } });

let refused = 0;
for (const wrong of [
	{ image: undefined }, { image: "" }, { image: "a b" }, { stage: ["test"] },
	{ mode: "" }, { mode: "apply" }, { mode: ["plan"] },
	{ job: "" }, { job: "Cleanup: now" }, { job: ".hidden" },
	{ groups: "$NOT_SET" }, { groups: ["acme"] }, { groups: '["acme"]' }, { groups: "," }, { groups: "acme\nDRY_RUN: true" }, { projects: "acme/$(id)" },
	{ rate_limit: 20 }, { rate_limit: "fast" }, { rate_limit: "-1" },
	{ report_dir: "" }, { report_dir: "/tmp" }, { report_dir: "../.." }, { report_dir: "a/../b" }, { report_dir: "$HOME" },
	{ report_dir: "a b" }, { report_dir: "a\n    - id" }, { report_dir: "a;id" },
	{ token_variable: '}"; id; "' }, { token_variable: "A B" }, { token_variable: "" },
	{ schedule_rules: "always" }, { merge_request_dry_run: "yes" }, { resource_group: "$X" }, { resource_group: "" },
]) {
	const got = preview({ image, ...wrong });
	assert.notEqual(got.code, 0, `accepted: ${JSON.stringify(wrong)}`);
	const [input] = Object.keys(wrong);
	assert.match(got.all, new RegExp(`${input}.* input`), `refused for another reason: ${JSON.stringify(wrong)}: ${got.all}`);
	refused++;
}
console.log(`refused: ${refused} sets of inputs that are wrong`);
sharedRun();
ownPipeline();

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

function preview(inputs) {
	return run(makeProject(scratch, root, instance, inputs), "--preview");
}

// composed returns the configuration that a project with these inputs ends up with.
function composed(what, inputs) {
	const got = preview(inputs);
	assert.equal(got.code, 0, got.all);
	const document = yaml.load(got.stdout);
	valid(what, document);
	return document;
}

function jobs(document) {
	return Object.keys(document).filter((name) => document[name].script);
}

// approved checks the jobs of a plan that somebody approves: one makes it, with a token that
// cannot delete, and one waits for somebody to start it.
function approved({ cleanup: plan, "cleanup-apply": apply }) {
	assert.equal(plan.script.at(-1), "registry-gc plan");
	assert.match(plan.script.join("\n"), /\$\{READ_TOKEN\}/);
	assert.doesNotMatch(JSON.stringify(plan), /ADMIN_TOKEN/, "the job that plans has the token that deletes");
	assert.equal(apply.script.at(-1), 'registry-gc apply "$REPORT_DIR/plan.jsonl"');
	assert.match(apply.script.join("\n"), /\$\{ADMIN_TOKEN\}/);
	assert.equal(apply.when, "manual");
	assert.deepEqual(apply.rules.flat(), [{ if: '"plan" != "plan"', when: "never" }, ...own.schedule_rules]);
	assert.deepEqual(apply.needs.map((need) => need.job ?? need), ["cleanup"], "the plan does not arrive");
	assert.deepEqual(apply.dependencies, ["cleanup"]);
	assert.deepEqual([plan.resource_group, apply.resource_group], ["production/registry-dry-run", "production/registry"]);
	for (const key of ["image", "allow_failure", "artifacts", "timeout", "variables"]) assert.deepEqual(apply[key], plan[key], key);
}

// environment checks the documents' example of an application that certain people approve.
function environment() {
	const [block] = readFileSync(join(root, "docs/gitlab-pipelines.md"), "utf8").match(/(?<=^```yaml\n)registry-gc-apply:[^]*?(?=^```$)/m);
	const got = run(makeProject(scratch, root, instance, { image, mode: "plan" }, yaml.load(block)), "--preview");
	assert.equal(got.code, 0, got.all);
	const document = yaml.load(got.stdout);
	valid("the documents' job with an environment", document);
	const apply = document["registry-gc-apply"];
	assert.equal(apply.environment.name ?? apply.environment, "container-registry");
	assert.deepEqual([apply.when, apply.script.length], ["manual", 4], "the job is not the component's any more");
}

// sharedRun checks the documents' example of a run that several jobs share: what users paste
// has to be whole.
function sharedRun() {
	const { inputs, jobs } = sharedOut(root);
	const got = run(makeProject(scratch, root, instance, inputs, jobs), "--preview");
	assert.equal(got.code, 0, got.all);
	const document = yaml.load(got.stdout);
	valid("the documents' jobs that share a run", document);
	const { "registry-gc": replaced, "registry-gc-shard": shard, "registry-gc-report": report } = document;
	assert.deepEqual(replaced.rules, [{ when: "never" }]);
	assert(shard.parallel > 1 && !shard.resource_group && !report.resource_group, "shards in one resource group run one after the other");
	assert.deepEqual(shard.rules, header.spec.inputs.schedule_rules.default);
	assert.deepEqual(report.rules, shard.rules.map((rule) => ({ ...rule, when: "always" })), "a job that needs one which is not there breaks the pipeline");
	assert.deepEqual([report.needs[0].job, report.dependencies], ["registry-gc-shard", ["registry-gc-shard"]], "the shards' reports do not arrive");
	assert.deepEqual([shard.before_script, report.before_script], [replaced.before_script, []], "shards keep earlier reports, or what merges them removes theirs");
	assert.deepEqual(shard.variables, replaced.variables);
	assert.deepEqual(report.variables, { ...replaced.variables, GIT_STRATEGY: "empty" });
	for (const job of [shard, report]) {
		for (const key of ["image", "allow_failure", "artifacts", "timeout"]) assert.deepEqual(job[key], replaced[key], key);
	}
}

// ownPipeline checks what the project itself runs.
function ownPipeline() {
	const folder = makeProject(scratch, root, instance, { image });
	cpSync(join(root, ".gitlab-ci.yml"), join(folder, ".gitlab-ci.yml"));
	const got = run(folder, "--preview");
	assert.equal(got.code, 0, got.all);
	const document = yaml.load(got.stdout);
	valid("the project's own pipeline", document);
	const names = jobs(document);
	assert(names.includes("test") && names.includes("registry-gc") && names.includes("registry-gc-dry-run"), names.join());
	for (const job of ["registry-gc", "registry-gc-dry-run"]) {
		const { VERIFY, GITLAB_PROJECTS } = document[job].variables;
		assert.deepEqual([VERIFY, GITLAB_PROJECTS], ["registry", "$CI_PROJECT_PATH,"], `${job} may delete the image it runs on`);
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
