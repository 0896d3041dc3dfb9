// Reads {"versions": [text]} and writes what node-semver makes of each ({version, full} or null) and, for each of the valid ones
// among them, how it compares with each other valid one: one text of "<", "=" and ">" a version.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const semver = createRequire(import.meta.url)("semver");
const { versions } = JSON.parse(readFileSync(0, "utf8"));
const parsed = versions.map((v) => semver.parse(v));
const valid = parsed.filter((v) => v != null);
const sign = (n) => (n < 0 ? "<" : n > 0 ? ">" : "=");
process.stdout.write(
  JSON.stringify({
    parsed: parsed.map((v) => v && { version: v.version, full: [v.version, ...v.build].length > 1 ? `${v.version}+${v.build.join(".")}` : v.version }),
    order: valid.map((a) => valid.map((b) => sign(semver.compare(a, b))).join("")),
  }),
);
