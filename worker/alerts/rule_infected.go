package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// flood is the number of infected files of one tenant above which they are one alert with a count: who reads of twenty
// knows what goes on, and an attack of one tenant must not hide the alerts of others.
const flood = 20

// infectedFile is one infected file of a tenant.
type infectedFile struct {
	tenant    string
	SHA256    string `json:"sha256"`
	Signature string `json:"signature"`
	// Record is the number of the audit record that told of it.
	Record int64 `json:"record"`
}

func (f infectedFile) subject() string { return f.tenant + "/" + f.SHA256 }

// infected tells of infected uploads, one alert a file, or one a tenant that has a flood of them. Verdicts are read from
// the audit log, so that none is missed whose file was deleted at once; that one is over with the next look. Others are
// over when nobody refers to the file any more, or after Limits.InfectedFor.
func infected(ctx context.Context, look *Look) ([]Finding, error) {
	feed, err := readFeed(ctx, look)
	if err != nil {
		return nil, err
	}
	files, err := filesStillThere(ctx, look)
	if err != nil {
		return nil, err
	}
	floods, err := openFloods(look)
	if err != nil {
		return nil, err
	}
	var few []string
	for _, c := range feed.counts {
		_, flooded := floods[c.TenantID]
		switch {
		case flooded:
		case c.Settled+c.Fresh > flood:
			floods[c.TenantID] = newFlood(c.TenantID, files, feed.after)
		default:
			few = append(few, c.TenantID)
		}
	}
	fresh, err := freshFiles(ctx, look, feed, few)
	if err != nil {
		return nil, err
	}
	for _, tenant := range few {
		of := func(f infectedFile) bool { return f.tenant == tenant }
		if n := countOf(fresh, of); n > 0 && n+countOf(files, of) > flood {
			floods[tenant] = newFlood(tenant, files, feed.after)
			fresh = slices.DeleteFunc(fresh, of)
		}
	}
	single, err := fileFindings(ctx, look, append(fresh, files...))
	if err != nil {
		return nil, err
	}
	many, err := floodFindings(ctx, look, feed, floods)
	return append(many, single...), err
}

func countOf(files []infectedFile, of func(infectedFile) bool) (n int) {
	for _, f := range files {
		if of(f) {
			n++
		}
	}
	return n
}

// filesStillThere are the files with an alert of their own that goes on.
func filesStillThere(ctx context.Context, look *Look) ([]infectedFile, error) {
	var files []infectedFile
	for _, a := range look.Open {
		if a.Subject == a.TenantID || a.OpenedAt.Add(look.Limits.InfectedFor) <= look.Now {
			continue
		}
		f := infectedFile{tenant: a.TenantID}
		if err := json.Unmarshal([]byte(a.Data), &f); err != nil {
			return nil, fmt.Errorf("facts of the alert %s: %w", a.ID, err)
		}
		files = append(files, f)
	}
	there := map[string]bool{}
	for part := range slices.Chunk(files, asked) {
		blobs, err := look.DB.InfectedThere(ctx, tenantsOf(part), digestsOf(part))
		if err != nil {
			return nil, err
		}
		for _, b := range blobs {
			there[infectedFile{tenant: b.TenantID, SHA256: b.SHA256}.subject()] = true
		}
	}
	return slices.DeleteFunc(files, func(f infectedFile) bool { return !there[f.subject()] }), nil
}

// asked is for how many files is asked at once.
const asked = 500

func tenantsOf(files []infectedFile) []string {
	var out []string
	for _, f := range files {
		out = append(out, f.tenant)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func digestsOf(files []infectedFile) []string {
	var out []string
	for _, f := range files {
		out = append(out, f.SHA256)
	}
	return out
}

// freshFiles are files of which nobody was told yet, the newest first. A verdict that was told already is none, unless
// the file was uploaded and scanned again since.
func freshFiles(ctx context.Context, look *Look, feed feed, tenants []string) ([]infectedFile, error) {
	var files []infectedFile
	seen := map[string]bool{}
	for part := range slices.Chunk(tenants, asked) {
		records, err := look.DB.InfectedVerdicts(ctx, feed.VerdictRange, part)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			f := infectedFile{tenant: r.TenantID}
			if err := json.Unmarshal([]byte(r.Data), &f); err != nil {
				return nil, fmt.Errorf("audit record %d: %w", r.ID, err)
			}
			f.SHA256, f.Record = r.Target, r.ID
			if !seen[f.subject()] && !look.isOpen(f.subject()) {
				files = append(files, f)
			}
			seen[f.subject()] = true
		}
	}
	told := map[string]int64{}
	for part := range slices.Chunk(files, asked) {
		var subjects []string
		for _, f := range part {
			subjects = append(subjects, f.subject())
		}
		list, err := look.DB.AlertsAbout(ctx, ruleInfected, subjects)
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			var f infectedFile
			if err := json.Unmarshal([]byte(a.Data), &f); err != nil {
				return nil, fmt.Errorf("facts of the alert %s: %w", a.ID, err)
			}
			told[a.Subject] = max(told[a.Subject], f.Record)
		}
	}
	// By their numbers: the clocks of the programs that write the log and the alerts differ.
	return slices.DeleteFunc(files, func(f infectedFile) bool { return f.Record <= told[f.subject()] }), nil
}

func fileFindings(ctx context.Context, look *Look, files []infectedFile) ([]Finding, error) {
	assets := map[string]meta.BlobAssets{}
	names := map[string]string{}
	for part := range slices.Chunk(files, asked) {
		rows, err := look.DB.AssetsOnEach(ctx, tenantsOf(part), digestsOf(part))
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			assets[infectedFile{tenant: r.TenantID, SHA256: r.SHA256}.subject()] = r
		}
		if err := addNames(ctx, look, names, tenantsOf(part)); err != nil {
			return nil, err
		}
	}
	var out []Finding
	for _, f := range files {
		on := assets[f.subject()]
		out = append(out, Finding{
			Subject: f.subject(), TenantID: f.tenant, Severity: Critical,
			Message: fmt.Sprintf("An infected file was uploaded by %s: %s%s. It stays in quarantine and is not served.%s",
				tenantName(names, f.tenant), fileName(on), strings.TrimSuffix(clip(f.Signature, 200), "."), suspendHint(f.tenant)),
			Facts: map[string]any{"sha256": f.SHA256, "signature": f.Signature, "record": f.Record, "asset": on.Asset, "name": on.Name,
				"assets": on.Count, "tenant": names[f.tenant], "status": storage.ScanInfected},
		})
	}
	return out, nil
}

// fileName begins what is said of a file with its name and the id of its asset, or one of them.
func fileName(on meta.BlobAssets) string {
	if on.Asset == "" {
		return ""
	}
	return fmt.Sprintf("%q (asset %s): ", clip(on.Name, 100), on.Asset)
}

// suspendHint says who the tenant is and how it is stopped.
func suspendHint(tenant string) string {
	return fmt.Sprintf(" `gateway tenant show %s` tells about the tenant, `gateway tenant suspend %s` refuses its uploads.", tenant, tenant)
}
