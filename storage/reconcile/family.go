package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// kin is all there is of one digest of one tenant: its objects in both zones and its rows.
type kin struct {
	key, tenantID, sha256 string
	objects               map[storage.Zone][]listed
	blob                  *meta.BlobLine
	variants              []meta.VariantLine
}

// merge brings listings and rows together, digest by digest, in the order of keys.
type merge struct {
	zones    map[storage.Zone]*stream[listed]
	blobs    *stream[meta.BlobLine]
	variants *stream[meta.VariantLine]
	last     string

	objects, rows, foreign int64
	sawForeign             func(zone storage.Zone, key string)
}

var bothZones = []storage.Zone{storage.ZoneQuarantine, storage.ZoneClean}

// foreignTold is how many foreign objects are named in the log: another program's bucket may have millions.
const foreignTold = 10

func (r *Reconciler) merge(ctx context.Context, s scope, after string) *merge {
	rows := s.rowsAfter(after)
	told := 0
	m := &merge{
		zones: map[storage.Zone]*stream[listed]{}, blobs: r.blobLines(ctx, rows), variants: r.variantLines(ctx, rows), last: after,
		sawForeign: func(zone storage.Zone, key string) {
			if told++; told <= foreignTold {
				r.log.Warn("reconcile: an object that is none of ours; the run counts them all", "zone", zone, "key", key)
			}
		},
	}
	for _, zone := range bothZones {
		m.zones[zone] = r.listing(ctx, zone, s, after)
	}
	return m
}

// next is the next digest; nil at the end. Foreign objects are counted on the way.
func (m *merge) next(ctx context.Context) (*kin, error) {
	for {
		key, foreign, err := m.least(ctx)
		if err != nil || key == "" {
			return nil, err
		}
		if key <= m.last {
			// Somebody orders by something else than bytes: to go on would find differences where there are none.
			return nil, fmt.Errorf("rows or objects come out of order: %q after %q", key, m.last)
		}
		m.last = key
		k := &kin{key: key, objects: map[storage.Zone][]listed{}}
		if err := m.take(ctx, k, foreign); err != nil {
			return nil, err
		}
		if !foreign {
			return k, nil
		}
	}
}

// least is the smallest key that any stream has next.
func (m *merge) least(ctx context.Context) (key string, foreign bool, err error) {
	consider := func(k string, f bool) {
		if key == "" || k < key {
			key, foreign = k, f
		}
	}
	for _, zone := range bothZones {
		o, err := m.zones[zone].head(ctx)
		if err != nil {
			return "", false, fmt.Errorf("list zone %s: %w", zone, err)
		}
		if o != nil {
			consider(o.base, !o.ours)
		}
	}
	b, err := m.blobs.head(ctx)
	if err != nil {
		return "", false, fmt.Errorf("read blobs: %w", err)
	}
	if b != nil {
		consider(storage.BlobKey(b.TenantID, b.SHA256), false)
	}
	v, err := m.variants.head(ctx)
	if err != nil {
		return "", false, fmt.Errorf("read variants: %w", err)
	}
	if v != nil {
		consider(storage.BlobKey(v.TenantID, v.SHA256), false)
	}
	return key, foreign, nil
}

// take moves all that belongs to a key from the streams. Foreign objects may stand between a blob and its variants:
// "-" sorts before ".". To a foreign key belongs nothing else, whatever begins with it.
func (m *merge) take(ctx context.Context, k *kin, foreign bool) error {
	for _, zone := range bothZones {
		s := m.zones[zone]
		for {
			o, err := s.head(ctx)
			if err != nil {
				return fmt.Errorf("list zone %s: %w", zone, err)
			}
			if o == nil || !strings.HasPrefix(o.Key, k.key) || (foreign || o.ours) && o.base != k.key {
				break
			}
			if o.ours {
				k.tenantID, k.sha256 = o.of.TenantID, o.of.SHA256
				k.objects[zone] = append(k.objects[zone], *o)
				m.objects++
			} else {
				m.foreign++
				m.sawForeign(zone, o.Key)
			}
			s.pop()
		}
	}
	return m.takeRows(ctx, k)
}

func (m *merge) takeRows(ctx context.Context, k *kin) error {
	b, err := m.blobs.head(ctx)
	if err != nil {
		return fmt.Errorf("read blobs: %w", err)
	}
	if b != nil && storage.BlobKey(b.TenantID, b.SHA256) == k.key {
		k.tenantID, k.sha256, k.blob = b.TenantID, b.SHA256, b
		m.blobs.pop()
		m.rows++
	}
	for {
		v, err := m.variants.head(ctx)
		if err != nil {
			return fmt.Errorf("read variants: %w", err)
		}
		if v == nil || storage.BlobKey(v.TenantID, v.SHA256) != k.key {
			return nil
		}
		k.tenantID, k.sha256 = v.TenantID, v.SHA256
		k.variants = append(k.variants, *v)
		m.variants.pop()
		m.rows++
	}
}

// find looks for an object among those of a zone.
func (k *kin) find(zone storage.Zone, key string) *blob.Info {
	i := slices.IndexFunc(k.objects[zone], func(o listed) bool { return o.Key == key })
	if i < 0 {
		return nil
	}
	return &k.objects[zone][i].Info
}
