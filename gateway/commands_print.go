package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"gatehouse/gateway/admin"
	"gatehouse/quota"
	"gatehouse/storage"
)

// json prints one line of JSON.
func (c *cli) json(v any) error { return json.NewEncoder(c.out).Encode(v) }

// table prints rows in aligned columns.
func (c *cli) table(rows [][]string) error {
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			end := "\t"
			if i == len(row)-1 {
				end = "\n"
			}
			if _, err := fmt.Fprint(w, cell, end); err != nil {
				return err
			}
		}
	}
	return w.Flush()
}

// made prints a key that was just made.
func (c *cli) made(v any, asJSON bool, tenantID, key string) error {
	if asJSON {
		return c.json(v)
	}
	_, err := fmt.Fprintf(c.out, "tenant_id: %s\napi_key:   %s\nThe key is shown this once; keep it safe.\n", tenantID, key)
	return err
}

// changed prints what a command has changed, and what follows from it.
func (c *cli) changed(x admin.Change, asJSON bool) error {
	if asJSON {
		return c.json(x)
	}
	lines, err := differences(x)
	if err != nil {
		return err
	}
	for _, line := range append(lines, consequences(x)...) {
		if _, err := fmt.Fprintln(c.out, line); err != nil {
			return err
		}
	}
	return nil
}

// differences has a line for each thing that is not what it was.
func differences(x admin.Change) ([]string, error) {
	before, after, err := objects(x)
	if err != nil {
		return nil, err
	}
	if before == nil {
		what := x.What
		if x.KeyID != "" {
			what = fmt.Sprintf("%s %s (%s)", what, x.KeyID, x.KeyName)
		}
		return []string{fmt.Sprintf("%s: %s %s -> %s", x.Name, what, word(x.What, x.Before), word(x.What, x.After))}, nil
	}
	show := value
	if x.What == "overrides" {
		show = func(key string, raw json.RawMessage) string {
			if raw == nil {
				return "(as in the plan)"
			}
			return value(key, raw)
		}
	}
	var lines []string
	for _, f := range append([]specField{{key: storageKey}}, specFields()...) {
		if was, is := before[f.key], after[f.key]; !reflect.DeepEqual(was, is) {
			lines = append(lines, fmt.Sprintf("%s: %s %s -> %s", x.Name, f.key, show(f.key, was), show(f.key, is)))
		}
	}
	if len(lines) == 0 {
		lines = []string{x.Name + ": nothing has changed"}
	}
	return lines, nil
}

// objects gives what was and what is of a spec, key by key; nil for any other change.
func objects(x admin.Change) (before, after map[string]json.RawMessage, err error) {
	if x.What != "overrides" && x.What != "plan_settings" {
		return nil, nil, nil
	}
	for _, side := range []struct {
		from any
		to   *map[string]json.RawMessage
	}{{x.Before, &before}, {x.After, &after}} {
		raw, err := json.Marshal(side.from)
		if err != nil {
			return nil, nil, err
		}
		if err := json.Unmarshal(raw, side.to); err != nil {
			return nil, nil, err
		}
	}
	return before, after, nil
}

// value is how a value of a spec is shown, and what holds where there is none.
func value(key string, raw json.RawMessage) string {
	if raw == nil {
		return unsaid(key)
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	switch {
	case err == nil && key == storageKey:
		return exact(n)
	case err == nil && n == 0:
		return unsaid(key)
	}
	return string(raw)
}

// unsaid is what holds where nothing is said about a key.
func unsaid(key string) string {
	switch key {
	case "categories", "max_bytes":
		return "(as configured)"
	case "duplicates":
		return `"` + quota.DuplicatesLink + `"`
	case "serve":
		return `"` + quota.ServeAll + `"`
	case "pdf_active_content", "transcoding":
		return "false"
	case "image_presets":
		return "(all)"
	case "video_presets":
		return "(those of H.264)"
	case "max_video_height":
		return "(as the presets say)"
	case "upgrade_url":
		return "(none)"
	}
	return unlimited
}

// word is how a value of another change is shown.
func word(what string, v any) string {
	switch v := v.(type) {
	case int64:
		return exact(v)
	case *time.Time:
		if v == nil {
			return "never"
		}
		return when(*v)
	}
	if what == "quota" {
		return "as in the plan"
	}
	return fmt.Sprint(v)
}

// consequences says what a change means for the tenant.
func consequences(x admin.Change) []string {
	var out []string
	switch {
	case x.What == "delete_after":
		out = append(out, "Queued: a worker removes everything of it as soon as one runs. The audit log stays, and so do snapshots of the database until they expire.")
	case x.After == storage.TenantPendingDelete && x.DeleteAfter != nil:
		out = append(out, fmt.Sprintf("Nothing of it is served any more. Everything is removed after %s; until then: gateway tenant restore %s",
			when(*x.DeleteAfter), x.TenantID))
	case x.After == storage.TenantSuspended:
		out = append(out, "It may read and delete, but not upload.")
	}
	if x.OverBytes > 0 {
		out = append(out, fmt.Sprintf("It uses %s more than it may now: new uploads are refused until enough is deleted. Nothing is lost.", size(x.OverBytes)))
	}
	if x.OverFiles > 0 {
		out = append(out, fmt.Sprintf("It has %s more than it may now: new uploads are refused until enough are deleted. Nothing is lost.", of(x.OverFiles, "file", "files")))
	}
	if x.OverdueFiles > 0 {
		out = append(out, fmt.Sprintf("%s older than that: a worker deletes them within the hour.", of(x.OverdueFiles, "file is", "files are")))
	}
	for _, category := range slices.Sorted(maps.Keys(x.Capped)) {
		out = append(out, fmt.Sprintf("max_bytes.%s: the configuration allows %s; that holds.", category, size(x.Capped[category])))
	}
	if x.OverTenants > 0 {
		out = append(out, fmt.Sprintf("%s more than the plan allows now: new uploads are refused there until enough is deleted. Nothing is lost.",
			of(x.OverTenants, "of its tenants uses", "of its tenants use")))
	}
	return out
}

// sizes are the largest files by category.
func sizes(by map[storage.Category]int64) string {
	var out []string
	for _, category := range slices.Sorted(maps.Keys(by)) {
		out = append(out, fmt.Sprintf("%s %s", category, size(by[category])))
	}
	return strings.Join(out, ", ")
}

// when is a time in the one form of all commands, to the second.
func when(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// size is a number of bytes as people read it; exact has the number too.
func size(n int64) string {
	if n == quota.Unlimited {
		return unlimited
	}
	return humanize.IBytes(uint64(max(0, n)))
}

func exact(n int64) string {
	if n == quota.Unlimited {
		return unlimited
	}
	return fmt.Sprintf("%d (%s)", n, size(n))
}

// of is a noun with its number.
func of(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
