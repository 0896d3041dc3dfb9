package alerts

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// grave is what a reconciliation found that must not go down among what is repaired: signs that records were lost. Each says
// what it means and what brings them back.
type grave struct {
	says  []string
	facts map[string]any
}

func (g *grave) add(sentence string, fact string, value any) {
	g.says = append(g.says, sentence)
	g.facts[fact] = value
}

// text goes between two sentences.
func (g *grave) text() string {
	if len(g.says) == 0 {
		return ""
	}
	return " " + strings.Join(g.says, " ")
}

// restoreHint is the way back for records.
const restoreHint = "`worker snapshot restore ID --fill` brings back those that a snapshot has (`worker snapshot list`)"

// bringHint is the same for one record that is not to be done without.
const bringHint = "`worker snapshot restore ID --fill` does, from a snapshot that has it (`worker snapshot list`)"

// graveOf looks for it in the latest findings about each tenant, which are of these runs; still says that
// nothing is repaired yet.
func graveOf(ctx context.Context, look *Look, byTenant map[string]drift, runs []string, still bool) (*grave, error) {
	g := &grave{facts: map[string]any{}}
	var drops []meta.LedgerDrop
	if found := total(byTenant); found[storage.DriftLedger] > 0 {
		latest := map[string]meta.LedgerDrop{}
		for _, run := range runs { // oldest first: a tenant's last one says how it is
			list, err := look.DB.LedgerDrops(ctx, run)
			if err != nil {
				return nil, err
			}
			for _, d := range list {
				if byTenant[d.TenantID][storage.DriftLedger] > 0 {
					latest[d.TenantID] = d
				}
			}
		}
		drops = slices.Collect(maps.Values(latest))
	}
	g.ledgers(drops, still)
	if err := g.alone(ctx, look, byTenant, storage.DriftTenant); err != nil {
		return nil, err
	}
	return g, g.alone(ctx, look, byTenant, storage.DriftPlan)
}

// ledgers names the tenant that lost most, and counts the others.
func (g *grave) ledgers(drops []meta.LedgerDrop, still bool) {
	if len(drops) == 0 {
		return
	}
	slices.SortFunc(drops, func(a, b meta.LedgerDrop) int {
		if a.LostFiles != b.LostFiles {
			return int(b.LostFiles - a.LostFiles)
		}
		return strings.Compare(a.TenantID, b.TenantID)
	})
	d := drops[0]
	counts := fmt.Sprintf("%s, its records %d", plural(d.Written.UsedFiles, "file", "files"), d.Truth.UsedFiles)
	if d.LostFiles <= 0 {
		counts = fmt.Sprintf("%s, its records %d", plural(d.Written.UsedBytes, "byte", "bytes"), d.Truth.UsedBytes)
	}
	others := ""
	if len(drops) > 1 {
		others = fmt.Sprintf(" So it is with %s.", plural(int64(len(drops)-1), "other tenant", "other tenants"))
	}
	name, verb, first := map[string]string{d.TenantID: d.Tenant}, "counted", ""
	if still {
		verb, first = "counts", " Do that before a reconciliation."
	}
	g.add(fmt.Sprintf("The ledger of %s %s %s: records may be lost.%s %s.%s", tenantName(name, d.TenantID), verb, counts, others, restoreHint, first),
		"ledger_drops", drops[:min(len(drops), 20)])
}

// namesAtOnce is how many tenants one statement names.
const namesAtOnce = 500

// alone tells of tenants and plans that have no record.
func (g *grave) alone(ctx context.Context, look *Look, byTenant map[string]drift, kind storage.DriftKind) error {
	var ids []string
	for id, d := range byTenant {
		if d[kind] > 0 {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	names := map[string]string{}
	for part := range slices.Chunk(ids, namesAtOnce) {
		if err := addNames(ctx, look, names, part); err != nil {
			return err
		}
	}
	if kind == storage.DriftTenant {
		lost := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return names[id] != "" })
		if len(lost) > 0 {
			g.add(fmt.Sprintf("The record of %s is lost, and nobody can reach the files. Bring it back: %s.", several(names, lost), bringHint),
				"tenants_lost", lost[:min(len(lost), 20)])
		}
		if ended := slices.DeleteFunc(ids, func(id string) bool { return names[id] == "" }); len(ended) > 0 {
			g.add(fmt.Sprintf("The record of %s says that it is deleted or has failed, but there are files, which nobody can reach. Somebody changed it past Gatehouse: "+
				"set its state in the database back to active, or bring back everything as a snapshot has it, with `worker snapshot restore ID --replace`.", several(names, ended)),
				"tenants_ended", ended[:min(len(ended), 20)])
		}
		return nil
	}
	who := several(names, ids)
	ids = ids[:min(len(ids), 20)]
	g.add(fmt.Sprintf("The plan of %s has no record, so its uploads are refused. Bring it back: %s; or `gateway plan create` makes one of that name, and `gateway tenant plan` puts the tenant on another one.", who, bringHint),
		"tenants_without_plan", ids)
	return nil
}

// several names the first tenant and counts the others.
func several(names map[string]string, ids []string) string {
	who := tenantName(names, ids[0])
	if len(ids) > 1 {
		who = fmt.Sprintf("%s and %s", who, plural(int64(len(ids)-1), "other one", "other ones"))
	}
	return who
}

// trashed tells of files that no record speaks of and that a full run has moved to the trash: the records may come back.
func (g *grave) trashed(ctx context.Context, look *Look, run meta.ReconcileRun) error {
	list, err := look.DB.FilesFound(ctx, run.ID, meta.FindingRepaired, []storage.DriftKind{storage.DriftOrphan}, []storage.Repair{storage.RepairTrash})
	if err != nil {
		return err
	}
	var n int64
	for _, f := range list {
		n += f.Files
	}
	if n == 0 {
		return nil
	}
	bytes, until := "their bytes are", ""
	if n == 1 {
		bytes = "its bytes are"
	}
	if look.Limits.Trash > 0 {
		until = " until " + at(run.StartedAt.Time().Add(look.Limits.Trash))
	}
	g.add(fmt.Sprintf("%s no record any more; %s in the trash%s. A snapshot may have the records: %s. An upload that was cut off leaves such a file too.",
		plural(n, "stored file has", "stored files have"), bytes, until, restoreHint), "trashed_files", n)
	return nil
}
