package reconcile

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"gatehouse/storage/meta"
)

// The formats of an export.
const (
	FormatTable = "table"
	FormatJSONL = "jsonl"
	FormatCSV   = "csv"
)

// exportPage is how many findings are in memory at once.
const exportPage = 500

// exported is a finding as it leaves the house; the tags are the names of JSON and the header of CSV.
type exported struct {
	ID      string          `json:"id"`
	Run     string          `json:"run"`
	Tenant  string          `json:"tenant"`
	Kind    string          `json:"kind"`
	Zone    string          `json:"zone"`
	SHA256  string          `json:"sha256"`
	Preset  string          `json:"preset"`
	Object  string          `json:"object"`
	Repair  string          `json:"repair"`
	State   string          `json:"state"`
	Problem string          `json:"problem"`
	Detail  json.RawMessage `json:"detail"`
	FoundAt time.Time       `json:"found_at"`
	EndedAt *time.Time      `json:"ended_at"`
}

var csvHeader = []string{
	"id", "run", "tenant", "kind", "zone", "sha256", "preset", "object", "repair", "state", "problem", "detail", "found_at", "ended_at",
}

func export(f meta.ReconcileFinding) exported {
	e := exported{
		ID: f.ID, Run: f.RunID, Tenant: f.TenantID, Kind: string(f.Kind), Zone: string(f.Zone), SHA256: f.SHA256, Preset: f.Preset,
		Object: f.ObjectKey, Repair: string(f.Repair), State: f.State, Problem: f.Problem, Detail: json.RawMessage(f.Detail), FoundAt: f.FoundAt.Time(),
	}
	if f.EndedAt != 0 {
		at := f.EndedAt.Time()
		e.EndedAt = &at
	}
	return e
}

func (e exported) fields() []string {
	ended := ""
	if e.EndedAt != nil {
		ended = e.EndedAt.Format(time.RFC3339Nano)
	}
	list := []string{
		e.ID, e.Run, e.Tenant, e.Kind, e.Zone, e.SHA256, e.Preset, e.Object, e.Repair, e.State, e.Problem, string(e.Detail),
		e.FoundAt.Format(time.RFC3339Nano), ended,
	}
	for i, s := range list {
		list[i] = harmless(s)
	}
	return list
}

// harmless keeps a spreadsheet from taking a cell for a formula, which may run programs: such cells get an apostrophe
// in front (https://owasp.org/www-community/attacks/CSV_Injection).
func harmless(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n", rune(s[0])) {
		return "'" + s
	}
	return s
}

// Export writes a run's findings, page by page.
func (r *Reconciler) Export(ctx context.Context, w io.Writer, runID, format string, filter meta.FindingFilter) error {
	var write func(exported) error
	flush := func() error { return nil }
	switch format {
	case FormatJSONL:
		write = func(e exported) error { return json.NewEncoder(w).Encode(e) }
	case FormatCSV:
		c := csv.NewWriter(w)
		if err := c.Write(csvHeader); err != nil {
			return err
		}
		write = func(e exported) error { return c.Write(e.fields()) }
		flush = func() error { c.Flush(); return c.Error() }
	case FormatTable:
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		if _, err := fmt.Fprintln(t, "KIND\tREPAIR\tSTATE\tTENANT\tOBJECT"); err != nil {
			return err
		}
		write = func(e exported) error {
			what := e.Object
			if what == "" {
				what = strings.TrimSpace(e.SHA256 + " " + string(e.Detail))
			}
			_, err := fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", e.Kind, orDash(e.Repair), e.State, e.Tenant, what)
			return err
		}
		flush = t.Flush
	default:
		return fmt.Errorf("there is no format %q", format)
	}
	for after := ""; ; {
		page, err := r.db.Findings(ctx, runID, filter, after, exportPage)
		if err != nil {
			return err
		}
		for _, f := range page {
			if err := write(export(f)); err != nil {
				return err
			}
		}
		if err := flush(); err != nil || len(page) < exportPage {
			return err
		}
		after = page[len(page)-1].ID
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
