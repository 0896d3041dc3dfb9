package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/node"
	"gatehouse/e2e/rig"
)

// desk is where an operator makes releases, and applications ask for them through a tap.
type desk struct {
	t   *testing.T
	r   *rig.Rig
	o   *rig.Operator
	tap *tap
}

// newDesk puts the tap before an address of the gateway.
func newDesk(t *testing.T, r *rig.Rig, before string) *desk {
	return &desk{t: t, r: r, o: r.Operator("kim", "super"), tap: newTap(t, before)}
}

// track is where a release is published.
type track struct{ Channel, Platform, Arch string }

func (k track) feed() string {
	return "/api/release/v1/feed/" + k.Channel + "/" + k.Platform + "/" + k.Arch + "/"
}

// piece is a file of a release.
type piece struct {
	kind, name string
	content    []byte
}

// draft makes a release of files and waits until they are clean.
func (d *desk) draft(k track, version, notes string, files ...piece) (id string) {
	d.t.Helper()
	var made struct {
		ID string `json:"id"`
	}
	d.o.OK(http.MethodPost, "client-releases", map[string]any{
		"channel": k.Channel, "platform": k.Platform, "arch": k.Arch, "version": version, "notes": notes, "reason": "a new version",
	}, &made)
	for _, f := range files {
		require.NoError(d.t, d.o.Upload("client-releases/"+made.ID+"/artifacts/upload?kind="+f.kind, f.name, f.content, nil), f.name)
	}
	var check struct {
		Publishable bool  `json:"publishable"`
		Reasons     []any `json:"reasons"`
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if d.o.OK(http.MethodGet, "client-releases/"+made.ID+"/check", nil, &check); check.Publishable {
			return made.ID
		}
	}
	d.t.Fatalf("release %s cannot be published: %v", version, check.Reasons)
	return ""
}

// change makes a call that changes clients.
func (d *desk) change(method, id, what string, body map[string]any) {
	d.t.Helper()
	if body == nil {
		body = map[string]any{}
	}
	body["reason"] = "the plan"
	path := "client-releases/" + id + "/" + what
	err := d.o.Call(method, path, body, nil)
	if rig.CodeOf(err) == "MFA_REQUIRED" {
		d.o.StepUp()
		err = d.o.Call(method, path, body, nil)
	}
	require.NoError(d.t, err, what)
}

func (d *desk) publish(id string, percentage int) {
	d.t.Helper()
	d.change(http.MethodPost, id, "publish", map[string]any{"percentage": percentage})
}

// job is what update.mjs does.
type job struct {
	Kind         string `json:"kind"`
	Feed         string `json:"feed"`
	Arch         string `json:"arch"`
	Channel      string `json:"channel"`
	Version      string `json:"version"`
	Home         string `json:"home"`
	Device       string `json:"staging_id"`
	Downgrade    bool   `json:"allow_downgrade"`
	Download     bool   `json:"download"`
	Differential bool   `json:"differential"`
	Installed    string `json:"installed"`
}

// outcome is what came of it.
type outcome struct {
	Available bool     `json:"available"`
	Version   string   `json:"version"`
	Notes     string   `json:"notes"`
	File      string   `json:"file"`
	SHA512    string   `json:"sha512"`
	Size      int64    `json:"size"`
	Error     string   `json:"error"`
	Events    []string `json:"events"`
	Log       []string `json:"log"`
}

func (o outcome) log() string { return strings.Join(o.Log, "\n") }

// early is a device in each stage but the smallest, late one that only a large stage has.
const (
	early = "5b3f8a52-1c8e-4d0e-9a51-0c7f10000000"
	late  = "5b3f8a52-1c8e-4d0e-9a51-0c7fc0000000"
)

// run starts an application once.
func (d *desk) run(k track, j job) outcome {
	d.t.Helper()
	j.Feed = d.tap.URL + k.feed()
	j.Kind = map[string]string{"win32": "nsis", "darwin": "mac", "linux": "appimage"}[k.Platform]
	j.Arch = map[string]string{"x64": "x64", "x86": "ia32", "arm64": "arm64"}[k.Arch]
	if j.Home == "" {
		j.Home = d.t.TempDir()
	}
	if j.Device == "" {
		j.Device = early
	}
	var out outcome
	node.Run(d.t, "update.mjs", j, &out)
	return out
}

// sees starts an application until it is offered a version, or none when that is empty: a gateway may answer for a second as before.
func (d *desk) sees(k track, j job, version string) outcome {
	d.t.Helper()
	var last outcome
	for end := time.Now().Add(patience); time.Now().Before(end); {
		last = d.run(k, j)
		require.Empty(d.t, last.Error, last.log())
		if last.Available == (version != "") && (version == "" || last.Version == version) {
			return last
		}
	}
	d.t.Fatalf("version %s on %v is offered %q and not %q: %s", j.Version, k, last.Version, version, last.log())
	return last
}

// keep writes a file as an application keeps what it was installed from.
func keep(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), strconv.Itoa(len(content)))
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

// got reads an address of the feed to its end, which may come early.
func (d *desk) got(path string) (status int, body []byte, err error) {
	d.t.Helper()
	resp, err := http.Get(d.r.URLs[0] + path)
	require.NoError(d.t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}
