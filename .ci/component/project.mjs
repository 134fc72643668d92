// A project that includes the component the way its users do, and gitlab-ci-local in it.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
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
	git(folder, "init", "-q", "-b", "main");
	git(folder, "remote", "add", "origin", `${instance}/acme/tools.git`);
	git(folder, "add", ".");
	git(folder, "commit", "-q", "-m", "component");
	git(folder, "update-ref", "refs/remotes/origin/main", "HEAD");
	git(folder, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main");
	// The component of the commit that is checked out: the only one that needs no network.
	const component = `${new URL(instance).host}/acme/tools/registry-gc@${git(folder, "rev-parse", "HEAD").trim()}`;
	// JSON is YAML, and quotes whatever an input holds.
	writeFileSync(join(folder, ".gitlab-ci.yml"), JSON.stringify({ include: [{ component, inputs }], ...jobs }));
	return folder;
}

// git runs git in a folder and returns what it printed.
export function git(folder, ...args) {
	return execFileSync("git", ["-c", "user.name=check", "-c", "user.email=check@example.com", ...args], { cwd: folder, encoding: "utf8" });
}

// examples returns the documents' examples: of each the inputs of the component, none where it includes none,
// and the jobs beside it.
export function examples(root, document) {
	const blocks = readFileSync(join(root, "docs", document), "utf8").match(/^```yaml\n[^]*?^```$/gm);
	return blocks.map((block) => {
		const { include, ...jobs } = yaml.load(block.replace(/^```.*$/gm, ""));
		return { inputs: include?.[0].inputs, jobs };
	});
}

// run runs gitlab-ci-local in a folder and returns how it ended and what it printed. GitLab itself takes a
// list of tags that is empty, and its schema does not.
export async function run(folder, ...args) {
	const child = spawn(process.execPath, [bundle, "--ignore-schema-paths", "#/definitions/tags/minItems", ...args], {
		cwd: folder,
		timeout: 120_000,
		stdio: ["ignore", "pipe", "pipe"],
		env: { PATH: process.env.PATH, HOME: dirname(folder), NO_COLOR: process.env.NO_COLOR ?? "" },
	});
	const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
	return { code, stdout, stderr, all: stdout + stderr };
}
