// Reads {"devices": [UUID], "percentages": [number]} and writes, for each device, a text with one digit a percentage: 1 when
// electron-updater itself counts the device in a stage of that size. Its own method is called, with as much of an updater as it looks at.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(import.meta.url);
const { AppUpdater } = require("electron-updater/out/AppUpdater");
const { devices, percentages } = JSON.parse(readFileSync(0, "utf8"));
const logger = { info() {}, warn() {} };
const rows = [];
for (const device of devices) {
  const updater = { _logger: logger, stagingUserIdPromise: { value: Promise.resolve(device) } };
  let row = "";
  for (const stagingPercentage of percentages) {
    row += (await AppUpdater.prototype.isStagingMatch.call(updater, { stagingPercentage })) ? "1" : "0";
  }
  rows.push(row);
}
process.stdout.write(JSON.stringify(rows));
