// A project that includes the component the way its users do, and gitlab-ci-local in it.
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import yaml from "js-yaml";

// bundle is the file that gitlab-ci-local is shipped as.
export const bundle = createRequire(import.meta.url).resolve("gitlab-ci-local");

// makeProject makes the project acme/tools of the instance in a folder below the
// scratch folder, and returns its folder. It may have jobs of its own, too.
export function makeProject(scratch, root, instance, inputs, jobs = {}) {
	const folder = mkdtempSync(join(scratch, "project-"));
	mkdirSync(join(folder, "templates"));
	cpSync(join(root, "templates/registry-gc.yml"), join(folder, "templates/registry-gc.yml"));
	writeFileSync(join(folder, ".gitignore"), ".gitlab-ci-local\n");
	const git = (...args) => execFileSync("git", ["-c", "user.name=check", "-c", "user.email=check@example.com", ...args],
		{ cwd: folder, encoding: "utf8" });
	git("init", "-q", "-b", "main");
	git("remote", "add", "origin", `${instance}/acme/tools.git`);
	git("add", ".");
	git("commit", "-q", "-m", "component");
	git("update-ref", "refs/remotes/origin/main", "HEAD");
	git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main");
	// The component of the commit that is checked out: the only one that needs no network.
	const component = `${new URL(instance).host}/acme/tools/registry-gc@${git("rev-parse", "HEAD").trim()}`;
	// JSON is YAML, and quotes whatever an input holds.
	writeFileSync(join(folder, ".gitlab-ci.yml"), JSON.stringify({ include: [{ component, inputs }], ...jobs }));
	return folder;
}

// sharedOut returns the documents' example of a run that several jobs share: the inputs of
// the component, and the jobs beside it.
export function sharedOut(root) {
	const blocks = readFileSync(join(root, "docs/several-machines.md"), "utf8").match(/^```yaml\n[^]*?^```$/gm);
	const block = blocks.find((text) => text.includes("parallel:"));
	const { include: [{ inputs }], ...jobs } = yaml.load(block.replace(/^```.*$/gm, ""));
	return { inputs, jobs };
}

// run runs gitlab-ci-local in a folder and returns how it ended and what it printed.
export function run(folder, ...args) {
	const got = spawnSync(process.execPath, [bundle, ...args], {
		cwd: folder,
		encoding: "utf8",
		timeout: 120_000,
		env: { PATH: process.env.PATH, HOME: dirname(folder), NO_COLOR: process.env.NO_COLOR ?? "" },
	});
	if (got.error) throw got.error;
	return { code: got.status, stdout: got.stdout, stderr: got.stderr, all: got.stdout + got.stderr };
}

