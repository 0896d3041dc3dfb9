// Runs the real electron-updater once, as an application would: check, and download when there is an update. Reads the job, writes
// what came of it.
//
// {
//   "kind": "nsis" | "appimage" | "mac",  which updater
//   "feed": URL,                          the folder of the feed
//   "arch": text,                         of the application, as Node names it; x64 unless given
//   "channel": text,                      what the application sets in place of latest; empty for none
//   "version": text,                      that of the application
//   "home": folder,                       where it keeps its data and its cache; jobs that share it are starts of one installation
//   "staging_id": UUID,
//   "allow_downgrade": bool, "download": bool, "differential": bool,
//   "installed": file                     the file that the application was installed from; empty when it is not kept
// }
import { createRequire } from "node:module";
import { createHash } from "node:crypto";
import { EventEmitter } from "node:events";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import path from "node:path";

const require = createRequire(import.meta.url);
const { HttpExecutor, configureRequestOptions, configureRequestUrl } = require("builder-util-runtime");

// Executor is ElectronHttpExecutor over Node's own HTTP in place of Electron's net.
class Executor extends HttpExecutor {
  download(url, destination, options) {
    return options.cancellationToken.createPromise((resolve, reject, onCancel) => {
      const request = { headers: options.headers || undefined, redirect: "manual" };
      configureRequestUrl(url, request);
      configureRequestOptions(request);
      const callback = (error) => (error == null ? resolve(destination) : reject(error));
      this.doDownload(request, { destination, options, onCancel, callback, responseHandler: null }, 0);
    });
  }

  createRequest(options, callback) {
    return (options.protocol === "https:" ? https : http).request(options, callback);
  }
}

// The updater for macOS hands what it has downloaded to Squirrel, a part of Electron.
class Squirrel extends EventEmitter {
  setFeedURL() {}
  checkForUpdates() {}
}
const squirrel = new Squirrel();
require("node:module")._load = ((load) => (name, ...rest) => (name === "electron" ? { autoUpdater: squirrel } : load(name, ...rest)))(
  require("node:module")._load,
);

const kinds = {
  nsis: ["NsisUpdater", "installer.exe", "win32"],
  appimage: ["AppImageUpdater", "", "linux"],
  mac: ["MacUpdater", "update.zip", "darwin"],
};

const job = JSON.parse(readFileSync(0, "utf8"));
const [className, keptAs, platform] = kinds[job.kind];
const cache = path.join(job.home, "cache", "demo-updater");
mkdirSync(cache, { recursive: true });
const config = path.join(job.home, "app-update.yml");
writeFileSync(config, JSON.stringify({ provider: "generic", url: job.feed, updaterCacheDirName: "demo-updater" }));
writeFileSync(path.join(job.home, ".updaterId"), job.staging_id);
if (job.installed && keptAs) copyFileSync(job.installed, path.join(cache, keptAs));
if (job.kind === "appimage") process.env.APPIMAGE = job.installed || path.join(job.home, "demo.AppImage");

process.env.TEST_UPDATER_ARCH = job.arch || "x64"; // else that of the machine that this runs on

const app = {
  version: job.version,
  name: "demo",
  isPackaged: true,
  appUpdateConfigPath: config,
  userDataPath: job.home,
  baseCachePath: path.join(job.home, "cache"),
  whenReady: () => Promise.resolve(),
  relaunch() {},
  quit() {},
  onQuit() {},
};

const log = [];
const say = (level) => (text) => log.push(`${level}: ${text}`);
const Updater = require(`electron-updater/out/${className}`)[className];
const updater = new Updater(null, app);
updater.logger = { info: say("info"), warn: say("warn"), error: say("error") };
updater.httpExecutor = new Executor();
updater.autoDownload = false;
updater.autoInstallOnAppQuit = false;
updater.disableWebInstaller = true;
updater.disableDifferentialDownload = !job.differential;
// The provider goes by the platform that this runs on; an application goes by its own.
const own = updater.createProviderRuntimeOptions.bind(updater);
updater.createProviderRuntimeOptions = () => ({ ...own(), platform });
if (job.channel) updater.channel = job.channel;
updater.allowDowngrade = Boolean(job.allow_downgrade);
const events = [];
for (const name of ["checking-for-update", "update-available", "update-not-available", "update-downloaded", "error"]) {
  updater.on(name, () => events.push(name));
}

const result = { available: false, version: "", notes: "", file: "", sha512: "", size: 0, error: "", events, log };
try {
  const { updateInfo, isUpdateAvailable } = await updater.checkForUpdates();
  result.available = isUpdateAvailable;
  result.version = updateInfo.version;
  result.notes = updateInfo.releaseNotes ?? "";
  if (isUpdateAvailable && job.download) {
    let downloaded = "";
    updater.once("update-downloaded", (event) => (downloaded = event.downloadedFile));
    await updater.downloadUpdate();
    const bytes = readFileSync(downloaded);
    result.file = downloaded;
    result.size = bytes.length;
    result.sha512 = createHash("sha512").update(bytes).digest("hex");
  }
} catch (e) {
  result.error = `${e.code ?? ""} ${e.message}`.trim().slice(0, 500);
}
process.stdout.write(JSON.stringify(result), () => process.exit(0));
