package operator

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

func TestNobodyLocksThemselvesOutUntold(t *testing.T) {
	each(t, func(o *office) {
		ctx, here, there := o.Context(), netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("198.51.100.1")
		require.NoError(o, o.one.Allowed(ctx, here))
		o.refused(o.one.Allowed(ctx, netip.Addr{}), "network_not_allowed")
		_, err := o.one.AddNetwork(ctx, audit.CLI, "", "198.51.100.0/24", "", here, false)
		o.refused(err, "network_locks_you_out")
		require.ErrorContains(o, err, "network_locks_you_out")
		_, err = o.one.AddNetwork(ctx, audit.CLI, "", "198.51.100.0/24", "", netip.Addr{}, false)
		o.refused(err, "network_locks_you_out")
		mine, err := o.one.AddNetwork(ctx, audit.CLI, "", "::ffff:192.0.2.9/120", "office", here, false)
		require.NoError(o, err)
		require.Equal(o, "192.0.2.0/24", mine.CIDR)
		_, err = o.one.AddNetwork(ctx, audit.CLI, "", "192.0.2.255/24", "", here, false)
		o.refused(err, "network_exists")
		require.NoError(o, o.two.Allowed(ctx, here))
		require.NoError(o, o.two.Allowed(ctx, netip.MustParseAddr("::ffff:192.0.2.200")))
		o.refused(o.two.Allowed(ctx, there), "network_not_allowed")
		o.refused(o.two.Allowed(ctx, netip.MustParseAddr("2001:db8::1")), "network_not_allowed")

		theirs, err := o.one.AddNetwork(ctx, audit.CLI, "", "198.51.100.0/24", "", here, false)
		require.NoError(o, err)
		o.refused(o.one.RemoveNetwork(ctx, audit.CLI, "", mine.ID, here, false), "network_locks_you_out")
		o.refused(o.one.RemoveNetwork(ctx, audit.CLI, "", "x", here, false), "network_unknown")
		require.NoError(o, o.one.RemoveNetwork(ctx, audit.CLI, "", mine.ID, here, true))
		o.refused(o.two.Allowed(ctx, here), "network_not_allowed")
		require.NoError(o, o.one.RemoveNetwork(ctx, audit.CLI, "", theirs.ID, here, false), "an empty list lets everybody in")
		require.NoError(o, o.two.Allowed(ctx, here))
		require.Len(o, o.logged("network.add"), 2)
		require.Len(o, o.logged("network.remove"), 2)
	})
}

func TestUnreadableListLetsNobodyIn(t *testing.T) {
	onSQLite(t, func(o *office) {
		exec := func(sql string, args ...any) {
			require.NoError(o, o.db.InTx(o.Context(), func(tx *meta.Tx) error {
				_, err := tx.Exec(sql, args...)
				return err
			}))
		}
		exec("INSERT INTO operator_networks (id, cidr, created_at) VALUES ('a', '192.0.2.0/24', 1), ('b', 'nonsense', 1)")
		require.Error(o, o.one.Allowed(o.Context(), home.Address))
		gone, err := o.one.ClearNetworks(o.Context(), audit.CLI, "locked out")
		require.NoError(o, err)
		require.Len(o, gone, 2)
		require.NoError(o, o.one.Allowed(o.Context(), home.Address))
		exec("DROP TABLE operator_networks")
		require.Error(o, o.one.Allowed(o.Context(), home.Address))
	})
}

func TestNetworksAreReadInOneForm(t *testing.T) {
	for text, want := range map[string]string{
		"10.1.2.3": "10.1.2.3/32", " 10.1.2.3/8 ": "10.0.0.0/8", "::ffff:10.1.2.3": "10.1.2.3/32", "2001:DB8::5/64": "2001:db8::/64", "0.0.0.0/0": "0.0.0.0/0",
		"": "", "10.1.2": "", "10.0.0.0/33": "", "fe80::1%eth0": "", "::ffff:10.0.0.0/90": "", "localhost": "", "10.0.0.0/-1": "",
	} {
		p, err := network(text)
		if want == "" {
			require.Error(t, err, text)
			require.Equal(t, "network_malformed", reason(t, err))
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, p.String())
	}
}
