package clamd

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The defaults of the embedded clamd.
const (
	defaultMaxFileBytes = 100 << 20
	defaultMaxScanTime  = 2 * time.Minute
	// maxClamdBytes is the most that ClamAV 1.4 can take as a file: its sizes are signed 32-bit in places.
	maxClamdBytes = 1<<31 - 1
	// minUnpackedBytes keeps small caps from making every ordinary office document unscannable.
	minUnpackedBytes = 400 << 20
)

// setting is one line of clamd.conf with the reason it is there.
type setting struct{ key, value, reason string }

// settings is everything our clamd is told. Debian's own configuration is not read.
func (c DaemonConfig) settings(p places, db database) []setting {
	bytes := strconv.FormatInt(c.MaxFileBytes, 10)
	selfCheck := "600"
	if !db.named {
		selfCheck = "0"
	}
	return []setting{
		{"Foreground", "yes", "the worker supervises it as a child"},
		{"LogTime", "no", "its lines go to the worker's log, which has a clock"},
		{"LocalSocket", p.socket, "local only: no TCP port is opened"},
		{"LocalSocketMode", "600", "with the 0700 folder around it, nobody else can ask"},
		{"FixStaleSocket", "yes", "a killed clamd leaves its socket behind"},
		{"TemporaryDirectory", p.private, "unpacked parts of quarantined files stay in the private folder"},
		{"DatabaseDirectory", db.folder, "the signatures"},
		{"SelfCheck", selfCheck, "seconds between looks for a new database; 0 when VERSION could not tell the change"},
		{"ConcurrentDatabaseReload", "no", "two official databases at once take 2.4 GiB; scans wait a moment instead"},
		{"DisableCache", "yes", "its cache of clean files goes by MD5, for which collisions can be made"},
		{"MaxFileSize", bytes, "the upload cap: a larger file would be OK without a look"},
		{"StreamMaxLength", bytes, "the upload cap, for whoever streams"},
		{"MaxScanSize", strconv.FormatInt(c.MaxUnpackedBytes, 10), "all a file unpacks to; more is OK without a look"},
		{"MaxScanTime", strconv.FormatInt(c.MaxScanTime.Milliseconds(), 10), "milliseconds for one file"},
		{"AlertExceedsMax", "yes", "a limit that was hit is said (Heuristics.Limits), not passed as OK"},
		{"AlertEncrypted", "yes", "what cannot be read is said (Heuristics.Encrypted), not passed as OK"},
		{"MaxThreads", strconv.Itoa(c.Threads), "scans at once"},
		{"MaxQueue", strconv.Itoa(4 * c.Threads), "at least twice MaxThreads, or clamd raises it with a warning"},
		{"ReadTimeout", "60", "seconds without a byte from us: we are local"},
		{"CommandReadTimeout", "30", "seconds for a command: we send it at once"},
	}
}

// render writes the settings as a clamd.conf. Values come from our configuration; one that could break out of
// its line is refused.
func render(settings []setting) (string, error) {
	var b strings.Builder
	b.WriteString("# Written by Gatehouse at every start of clamd; changes are lost.\n")
	for _, s := range settings {
		if s.value == "" || strings.ContainsFunc(s.value, func(r rune) bool { return r < ' ' || r == '"' }) {
			return "", fmt.Errorf("clamd.conf: %s cannot be %q", s.key, s.value)
		}
		fmt.Fprintf(&b, "# %s\n%s %s\n", s.reason, s.key, s.value)
	}
	return b.String(), nil
}
