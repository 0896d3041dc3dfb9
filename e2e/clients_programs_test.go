package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// attempt is one upload by a real client. The name that the client sends is the file's own.
type attempt struct {
	File string `json:"file"`
	Key  string `json:"key"`
}

// answer is what the client's user gets to see: an answer, or the failure that the client reports instead.
type answer struct {
	Status  int    `json:"status"`
	Body    string `json:"body"`
	Failure string `json:"failure"`
}

// client makes all attempts in one session, so that connections are used again where the client does that.
type client struct {
	name    string
	session func(t *testing.T, base string, attempts []attempt) []answer
}

// clients are the ways in which applications send forms.
func clients() []client {
	return []client{
		{"curl", curl()},
		// As older versions and other settings do: by default curl asks first whether it may send a large body.
		{"curl without asking", curl("-H", "Expect:")},
		{"python requests", script("/usr/bin/python3", "testdata/clients/upload.py", "requests")},
		{"python urllib3", script("/usr/bin/python3", "testdata/clients/upload.py", "urllib3")},
		{"python http.client", script("/usr/bin/python3", "testdata/clients/upload.py", "http.client")},
		{"node fetch", script("node", "testdata/clients/upload.mjs")},
		{"chromium", chromium},
	}
}

// script runs a program that reads the job and writes the answers, as upload.py tells.
func script(command ...string) func(*testing.T, string, []attempt) []answer {
	return func(t *testing.T, base string, attempts []attempt) []answer {
		job, err := json.Marshal(map[string]any{"url": base + "/api/v1/assets", "attempts": attempts})
		require.NoError(t, err)
		var answers []answer
		require.NoError(t, json.Unmarshal(run(t, job, command...), &answers))
		return answers
	}
}

// curl makes all attempts with one command.
func curl(options ...string) func(*testing.T, string, []attempt) []answer {
	return func(t *testing.T, base string, attempts []attempt) []answer {
		dir := t.TempDir()
		command := []string{"curl", "-q"}
		for i, a := range attempts {
			if i > 0 {
				command = append(command, "--next")
			}
			// Quoted, a name may contain what else means something to -F.
			quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(a.File)
			command = append(command, "-sS", "-F", `file=@"`+quoted+`"`, "-w", "%{json}\n",
				"-o", filepath.Join(dir, strconv.Itoa(i)), base+"/api/v1/assets")
			command = append(command, options...)
			if a.Key != "" {
				command = append(command, "-H", "Authorization: Bearer "+a.Key)
			}
		}
		return curlAnswers(t, dir, len(attempts), run(t, nil, command...))
	}
}

// curlAnswers reads a report for each attempt, and the bodies from their files.
func curlAnswers(t *testing.T, dir string, n int, reports []byte) []answer {
	answers := make([]answer, n)
	lines := json.NewDecoder(bytes.NewReader(reports))
	for i := range answers {
		var report struct {
			Status  int     `json:"http_code"`
			Exit    int     `json:"exitcode"`
			Failure *string `json:"errormsg"`
		}
		require.NoError(t, lines.Decode(&report))
		if answers[i].Status = report.Status; report.Exit != 0 {
			answers[i].Failure = "exit " + strconv.Itoa(report.Exit)
			if report.Failure != nil {
				answers[i].Failure += ": " + *report.Failure
			}
		}
		raw, err := os.ReadFile(filepath.Join(dir, strconv.Itoa(i)))
		if err != nil && answers[i].Failure == "" {
			t.Fatal(err)
		}
		answers[i].Body = string(raw)
	}
	return answers
}

// run runs a client in an environment without proxies and other people's settings. A client's exit code says
// nothing: its answers do.
func run(t *testing.T, stdin []byte, command ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LC_ALL=C.UTF-8"}
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && out.Len() == 0 {
		t.Fatalf("%s: %v\n%s", command[0], err, errs.String())
	}
	return out.Bytes()
}
