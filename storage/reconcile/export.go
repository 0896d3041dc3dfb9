package reconcile

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"gatehouse/storage/meta"
)

// The formats of an export.
const (
	FormatTable = "table"
	FormatJSONL = "jsonl"
	FormatCSV   = "csv"
)

// exportPage is how many findings are in memory at once, namedAssets how many assets of each: a blob may have a million.
const (
	exportPage  = 500
	namedAssets = 1000
)

// exported is a finding as it leaves the house; the tags are the names of JSON and the header of CSV.
type exported struct {
	ID     string `json:"id"`
	Run    string `json:"run"`
	Tenant string `json:"tenant"`
	Kind   string `json:"kind"`
	Zone   string `json:"zone"`
	SHA256 string `json:"sha256"`
	Preset string `json:"preset"`
	Object string `json:"object"`
	// Assets are the files that have the blob, the first of AssetCount.
	Assets     []exportedAsset `json:"assets"`
	AssetCount int64           `json:"asset_count"`

	Repair  string          `json:"repair"`
	State   string          `json:"state"`
	Problem string          `json:"problem"`
	Detail  json.RawMessage `json:"detail"`
	FoundAt time.Time       `json:"found_at"`
	EndedAt *time.Time      `json:"ended_at"`
}

type exportedAsset struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

var csvHeader = []string{
	"id", "run", "tenant", "kind", "zone", "sha256", "preset", "object", "asset_count", "assets", "names", "repair", "state", "problem", "detail", "found_at", "ended_at",
}

func export(f meta.ReconcileFinding, assets meta.NamedAssets) exported {
	e := exported{
		Assets: []exportedAsset{}, AssetCount: assets.Count,
		ID: f.ID, Run: f.RunID, Tenant: f.TenantID, Kind: string(f.Kind), Zone: string(f.Zone), SHA256: f.SHA256, Preset: f.Preset,
		Object: f.ObjectKey, Repair: string(f.Repair), State: f.State, Problem: f.Problem, Detail: json.RawMessage(f.Detail), FoundAt: f.FoundAt.Time(),
	}
	if f.EndedAt != 0 {
		at := f.EndedAt.Time()
		e.EndedAt = &at
	}
	for _, a := range assets.First {
		e.Assets = append(e.Assets, exportedAsset{a.ID, a.Name})
	}
	return e
}

func (e exported) fields() []string {
	ended := ""
	if e.EndedAt != nil {
		ended = e.EndedAt.Format(time.RFC3339Nano)
	}
	var ids, names []string
	for _, a := range e.Assets {
		ids, names = append(ids, a.ID), append(names, a.Name)
	}
	list := []string{
		e.ID, e.Run, e.Tenant, e.Kind, e.Zone, e.SHA256, e.Preset, e.Object, strconv.FormatInt(e.AssetCount, 10), strings.Join(ids, " "), strings.Join(names, " | "), e.Repair, e.State, e.Problem, string(e.Detail),
		e.FoundAt.Format(time.RFC3339Nano), ended,
	}
	for i, s := range list {
		list[i] = harmless(s)
	}
	return list
}

// harmless keeps a spreadsheet from taking a cell for a formula, which may run programs: such cells get an apostrophe
// in front, also for the wide signs that East Asian input makes (https://owasp.org/www-community/attacks/CSV_Injection).
func harmless(s string) string {
	if first, _ := utf8.DecodeRuneInString(s); s != "" && strings.ContainsRune("=+-@＝＋－＠\t\r\n", first) {
		return "'" + s
	}
	return s
}

// known refuses a filter that no finding can match, because it is mistyped.
func known(filter meta.FindingFilter) error {
	if filter.Kind != "" && !slices.Contains(Kinds(), filter.Kind) {
		return fmt.Errorf("there is no kind of finding %q; there are %s", filter.Kind, listOf(Kinds()))
	}
	if filter.State != "" && !slices.Contains(meta.FindingStates(), filter.State) {
		return fmt.Errorf("there is no state of a finding %q; there are %s", filter.State, listOf(meta.FindingStates()))
	}
	return nil
}

func listOf[S ~string](list []S) string {
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}

// tableAssets is how many of a blob's assets a line of the table names.
const tableAssets = 3

// told lists some assets for a line of the table. Names come from strangers, so they are quoted.
func told(assets []exportedAsset, count int64) string {
	var words []string
	for _, a := range assets[:min(len(assets), tableAssets)] {
		words = append(words, fmt.Sprintf("%s %q", a.ID, a.Name))
	}
	if more := count - int64(len(words)); more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return orDash(strings.Join(words, ", "))
}

// assetsOf reads which files have the blobs of findings, at most so many of each, by finding.
func assetsOf(ctx context.Context, db *meta.DB, page []meta.ReconcileFinding, most int) (map[string]meta.NamedAssets, error) {
	digests := map[string][]string{}
	for _, f := range page {
		if f.SHA256 != "" {
			digests[f.TenantID] = append(digests[f.TenantID], f.SHA256)
		}
	}
	out := map[string]meta.NamedAssets{}
	for tenant, list := range digests {
		names, err := db.Tenant(ctx, tenant).AssetNames(list, most)
		if err != nil {
			return nil, fmt.Errorf("read the assets of what was found: %w", err)
		}
		for _, f := range page {
			if f.TenantID == tenant {
				out[f.ID] = names[f.SHA256]
			}
		}
	}
	return out, nil
}

// Finding is a finding as others see it.
type Finding = exported

// Findings lists a run's findings behind the one with the given id, each with some of the assets that it is about.
func Findings(ctx context.Context, db *meta.DB, runID string, filter meta.FindingFilter, after string, limit int) ([]Finding, error) {
	page, err := db.Findings(ctx, runID, filter, after, limit)
	if err != nil {
		return nil, err
	}
	assets, err := assetsOf(ctx, db, page, tableAssets)
	if err != nil {
		return nil, err
	}
	out := make([]Finding, 0, len(page))
	for _, f := range page {
		out = append(out, export(f, assets[f.ID]))
	}
	return out, nil
}

// Export writes a run's findings, page by page.
func (r *Reconciler) Export(ctx context.Context, w io.Writer, runID, format string, filter meta.FindingFilter) error {
	if err := known(filter); err != nil {
		return err
	}
	write, flush, err := writer(w, format)
	if err != nil {
		return err
	}
	most := namedAssets
	if format == FormatTable {
		most = tableAssets
	}
	for after := ""; ; {
		page, err := r.db.Findings(ctx, runID, filter, after, exportPage)
		if err != nil {
			return err
		}
		assets, err := assetsOf(ctx, r.db, page, most)
		if err != nil {
			return err
		}
		for _, f := range page {
			if err := write(export(f, assets[f.ID])); err != nil {
				return err
			}
		}
		if err := flush(); err != nil || len(page) < exportPage {
			return err
		}
		after = page[len(page)-1].ID
	}
}

// writer writes findings in a format; flush is to be called after each page.
func writer(w io.Writer, format string) (write func(exported) error, flush func() error, err error) {
	switch format {
	case FormatJSONL:
		return func(e exported) error { return json.NewEncoder(w).Encode(e) }, func() error { return nil }, nil
	case FormatCSV:
		c := csv.NewWriter(w)
		return func(e exported) error { return c.Write(e.fields()) }, func() error { c.Flush(); return c.Error() }, c.Write(csvHeader)
	case FormatTable:
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		_, err := fmt.Fprintln(t, "KIND\tREPAIR\tSTATE\tTENANT\tOBJECT\tASSETS")
		return func(e exported) error { return e.line(t) }, t.Flush, err
	}
	return nil, nil, fmt.Errorf("there is no format %q", format)
}

// line writes a line of the table.
func (e exported) line(w io.Writer) error {
	what := e.Object
	if what == "" {
		what = strings.TrimSpace(e.SHA256 + " " + string(e.Detail))
	}
	_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", e.Kind, orDash(e.Repair), e.State, e.Tenant, what, told(e.Assets, e.AssetCount))
	return err
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
