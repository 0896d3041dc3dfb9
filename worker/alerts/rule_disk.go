package alerts

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/storage/meta"
)

// diskFresh is how old a program's word about its disks may be: it tells them every five minutes.
const diskFresh = 16 * time.Minute

// diskUse tells of file systems that run full, one alert a host and mount, whoever uses them.
func diskUse(ctx context.Context, look *Look) ([]Finding, error) {
	facts, err := disks(ctx, look)
	if err != nil {
		return nil, err
	}
	type place struct{ host, mount string }
	worst, uses := map[place]Finding{}, map[place][]string{}
	var order []place
	for _, f := range facts {
		for _, d := range f.Disks {
			p := place{f.Host, d.Mount}
			if !slices.Contains(order, p) {
				order = append(order, p)
			}
			for _, use := range d.Uses {
				if !slices.Contains(uses[p], use) {
					uses[p] = append(uses[p], use)
				}
			}
			found, fires := diskFinding(look.Limits, f.Host, d)
			if f.silent {
				found.Message += fmt.Sprintf(" The %s there has said nothing since %s.", f.Program, at(f.At.Time()))
			}
			if have, ok := worst[p]; fires && (!ok || rank(found.Severity) > rank(have.Severity)) {
				worst[p] = found
			}
		}
	}
	var out []Finding
	for _, p := range order {
		if f, ok := worst[p]; ok {
			slices.Sort(uses[p])
			f.Message += fmt.Sprintf(" It holds: %s. `df -h %s` there shows it.", strings.Join(uses[p], ", "), quoted(p.mount))
			f.Facts["uses"] = uses[p]
			out = append(out, f)
		}
	}
	return out, nil
}

// diskWord is what a program says of its disks; a silent one has not told anything for longer than diskFresh.
type diskWord struct {
	meta.DiskFact
	silent bool
}

// disks lists what programs say. That one is silent is not the end of what it last told: its word about disks that have
// an open alert counts until it is forgotten, unless somebody on the host knows better.
func disks(ctx context.Context, look *Look) ([]diskWord, error) {
	fresh, err := look.DB.Disks(ctx, look.Now.Add(-diskFresh))
	if err != nil {
		return nil, err
	}
	all, err := look.DB.Disks(ctx, look.Now.Add(-wordsKept))
	if err != nil {
		return nil, err
	}
	known, told := map[string]bool{}, map[string]bool{}
	var out []diskWord
	for _, f := range fresh {
		out = append(out, diskWord{f, false})
		told[f.Program+"@"+f.Host] = true
		for _, d := range f.Disks {
			known[f.Host+":"+d.Mount] = true
		}
	}
	for _, f := range all {
		if told[f.Program+"@"+f.Host] {
			continue // also of folders that it does not use any more
		}
		f.Disks = slices.DeleteFunc(f.Disks, func(d meta.DiskUse) bool {
			subject := f.Host + ":" + d.Mount
			return known[subject] || !look.isOpen(subject)
		})
		out = append(out, diskWord{f, true})
	}
	return out, nil
}

func diskFinding(limits Limits, host string, d meta.DiskUse) (Finding, bool) {
	bytes, files := percent(d.Used, d.Free), percent(d.Files-d.FilesFree, d.FilesFree)
	severity, fires := level(limits, max(bytes, files))
	what := fmt.Sprintf("%d %% in use, %s of %s free", bytes, size(d.Free), size(d.Total))
	if files > bytes {
		what = fmt.Sprintf("%d %% of its inodes in use, %d free", files, d.FilesFree)
	}
	return Finding{
		Subject: host + ":" + d.Mount, Severity: severity,
		Message: fmt.Sprintf("The disk mounted at %s on the host %s runs full: %s.", d.Mount, host, what),
		Facts: map[string]any{
			"host": host, "mount": d.Mount, "path": d.Path, "percent": bytes, "inode_percent": files,
			"total": d.Total, "used": d.Used, "free": d.Free,
		},
	}, fires
}

// percent is the part in use of what can be used, rounded up as df does.
func percent(used, free int64) int {
	if used <= 0 {
		return 0
	}
	return int((float64(used)*100 + float64(used+free) - 1) / float64(used+free))
}

func level(limits Limits, percent int) (Severity, bool) {
	if percent >= limits.DiskCritical {
		return Critical, true
	}
	return Warning, percent >= limits.DiskWarning
}

// databaseSize tells of a database that grows towards the room it has; a database server's disk is not ours to look at.
func databaseSize(ctx context.Context, look *Look) ([]Finding, error) {
	most := look.Limits.DatabaseMaxBytes
	if most <= 0 {
		return nil, nil
	}
	n, err := look.DB.Size(ctx)
	if err != nil {
		return nil, err
	}
	part := percent(n, max(most-n, 0))
	severity, fires := level(look.Limits, part)
	if !fires {
		return nil, nil
	}
	return []Finding{{
		Subject: "size", Severity: severity,
		Message: fmt.Sprintf("The database has %s, which is %d %% of the %s it may have. Give its server more room, and then raise alerts.database_max_bytes; `gateway config print` shows what is set.",
			size(n), part, size(most)),
		Facts: map[string]any{"bytes": n, "max_bytes": most, "percent": part},
	}}, nil
}
