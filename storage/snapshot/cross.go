package snapshot

import (
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// keys finds rows of one table that have the same key. It remembers 8 bytes of each: two keys of a million share them by
// chance once in 37 million times, and not again the next time.
type keys struct {
	seed  maphash.Seed
	table meta.Table
	list  []uint64
}

func (k *keys) add(row any) { k.list = append(k.list, maphash.String(k.seed, k.table.KeyText(row))) }

// twice counts the rows whose key an earlier one has.
func (k *keys) twice() int {
	slices.Sort(k.list)
	return len(k.list) - len(slices.Compact(k.list))
}

// cross checks that rows speak of rows that are there. It remembers 8 bytes of each key: two blobs that share them by
// chance are once in 37 million snapshots of a million blobs.
type cross struct {
	seed    maphash.Seed
	plans   map[string]bool
	tenants map[string]*sums
	refs    map[uint64]int64 // of each blob: what its row says, less the assets seen
	found   map[storage.DriftKind]int64
	// lost are, by table, the rows that speak of a tenant or a plan that is not there.
	lost map[string]*lost
}

// lost counts rows and remembers some of the names that they speak of.
type lost struct {
	what  string
	rows  int64
	names []string
}

// maxLostNames is how many names a warning has.
const maxLostNames = 3

// sums is a tenant's ledger as its row says, less what was seen of it.
type sums struct{ bytes, files, reserved, reservations int64 }

func newCross() *cross {
	return &cross{
		seed: maphash.MakeSeed(), plans: map[string]bool{}, tenants: map[string]*sums{}, refs: map[uint64]int64{},
		found: map[storage.DriftKind]int64{}, lost: map[string]*lost{},
	}
}

func (c *cross) blob(tenant, digest string) uint64 { return maphash.String(c.seed, tenant+"/"+digest) }

// of is the ledger of a tenant; one without a row gets one that nobody looks at.
func (c *cross) of(tenant string) *sums {
	if s, ok := c.tenants[tenant]; ok {
		return s
	}
	return &sums{}
}

// see takes a row; tables come in the order of THE list, so what a row speaks of was seen before it.
func (c *cross) see(table string, row any) {
	if b, ok := row.(*meta.Blob); ok && b.OnlyClaim() { // on an orphan, perhaps of a tenant that never was; it is not restored
		return
	}
	if id := tenantOf(row); id != "" && table != "tenants" && c.tenants[id] == nil {
		c.lose(table, "tenant", id)
	}
	switch r := row.(type) {
	case *meta.Plan:
		c.plans[r.Name] = true
	case *meta.TenantRow:
		if !r.State.Over() && !c.plans[r.Plan] { // what is over needs none
			c.lose(table, "plan", r.Plan)
		}
		c.tenants[r.ID] = &sums{r.UsedBytes, r.UsedFiles, r.ReservedBytes, r.ReservedFiles}
	case *meta.Blob:
		c.refs[c.blob(r.TenantID, r.SHA256)] = r.Refs
		c.of(r.TenantID).bytes -= r.Size
	case *meta.Asset:
		if r.State == storage.AssetDeleted {
			return
		}
		c.of(r.TenantID).files--
		key := c.blob(r.TenantID, r.SHA256)
		if _, ok := c.refs[key]; !ok {
			c.found[storage.DriftAssetAlone]++
			return
		}
		c.refs[key]--
	case *meta.Variant:
		c.of(r.TenantID).bytes -= r.Size
		if _, ok := c.refs[c.blob(r.TenantID, r.SHA256)]; !ok {
			c.found[storage.DriftVariantAlone]++
		}
	case *meta.Reservation:
		s := c.of(r.TenantID)
		s.reserved -= r.Bytes
		s.reservations--
	}
}

func (c *cross) drift() map[storage.DriftKind]int64 {
	for _, left := range c.refs {
		if left != 0 {
			c.found[storage.DriftReferences]++
		}
	}
	for _, s := range c.tenants {
		if *s != (sums{}) {
			c.found[storage.DriftLedger]++
		}
	}
	return c.found
}

func (c *cross) lose(table, what, name string) {
	l := c.lost[table]
	if l == nil {
		l = &lost{what: what}
		c.lost[table] = l
	}
	l.rows++
	if len(l.names) <= maxLostNames && !slices.Contains(l.names, name) {
		l.names = append(l.names, name)
	}
}

// warnings says what was lost, sorted by table.
func (c *cross) warnings() []string {
	out := []string{}
	for _, table := range slices.Sorted(maps.Keys(c.lost)) {
		l := c.lost[table]
		names := strings.Join(l.names[:min(len(l.names), maxLostNames)], ", ")
		if len(l.names) > maxLostNames {
			names += " and others"
		}
		out = append(out, fmt.Sprintf("rows of %s with a %s that the snapshot does not have: %d (%s)", table, l.what, l.rows, names))
	}
	return out
}

// tenantOf is the tenant that a row belongs to; empty for those of the system, and for what outlives its tenant: the
// audit log, alerts and what the reconciliation found.
func tenantOf(row any) string {
	switch r := row.(type) {
	case *meta.TenantRow:
		return r.ID
	case *meta.APIKey:
		return r.TenantID
	case *meta.Asset:
		return r.TenantID
	case *meta.Blob:
		return r.TenantID
	case *meta.Variant:
		return r.TenantID
	case *meta.Reservation:
		return r.TenantID
	case *meta.IdempotencyKey:
		return r.TenantID
	case *meta.Task:
		return r.TenantID
	case *meta.Event:
		return r.TenantID
	}
	return ""
}
