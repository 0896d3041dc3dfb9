// Reads {"manifests": [text]} and writes what electron-updater makes of each: its info, and the files that it would offer.
// {"error"} when js-yaml or the updater refuses.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(import.meta.url);
const { getFileList, parseUpdateInfo, resolveFiles } = require("electron-updater/out/providers/Provider");
const { manifests } = JSON.parse(readFileSync(0, "utf8"));
const base = new URL("http://feed.test/api/release/v1/feed/stable/win32/x64/");
const read = (text) => {
  try {
    const info = parseUpdateInfo(text, "latest.yml", "");
    const files = info?.files?.length || info?.path != null ? getFileList(info) : [];
    return { info, files, urls: files.length > 0 ? resolveFiles(info, base).map((f) => f.url.href) : [] };
  } catch (e) {
    return { error: String(e.message).slice(0, 300) };
  }
};
process.stdout.write(JSON.stringify(manifests.map(read)));
