package operator

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// maxNetworks bounds what is compared for each request.
const maxNetworks = 256

// maxNote bounds what is said about a network.
const maxNote = 190

// NetworkView is a range of addresses that operators may come from.
type NetworkView struct {
	ID        string    `json:"id"`
	CIDR      string    `json:"cidr"`
	Note      string    `json:"note"`
	CreatedAt time.Time `json:"created_at"`
}

// Allowed refuses an address that operators must not come from. With no network in the list any address may; should the list be
// unreadable, none.
func (d *Desk) Allowed(ctx context.Context, addr netip.Addr) error {
	rows, err := d.db.OperatorNetworks(ctx)
	if err != nil {
		return fmt.Errorf("read the networks of operators: %w", err)
	}
	in, err := allowed(rows, addr)
	if err != nil {
		return err
	}
	if !in {
		return refuse(storage.CodeForbidden, "network_not_allowed", "Operators must not come from this address.", "不允许从此地址访问管理接口。")
	}
	return nil
}

// allowed: a network that cannot be read refuses everybody, and says so in the log.
func allowed(rows []meta.OperatorNetwork, addr netip.Addr) (bool, error) {
	if !addr.IsValid() {
		return false, nil
	}
	cidrs := make([]string, 0, len(rows))
	for _, r := range rows {
		cidrs = append(cidrs, r.CIDR)
	}
	in, err := within(cidrs, addr)
	return in || len(rows) == 0, err
}

// within reports whether an address lies in one of the networks. An IPv4 address in the clothes of IPv6 is what it is.
func within(cidrs []string, addr netip.Addr) (bool, error) {
	addr = addr.Unmap().WithZone("")
	in := false
	for _, c := range cidrs {
		p, err := netip.ParsePrefix(c)
		if err != nil {
			return false, fmt.Errorf("a stored network: %w", err)
		}
		in = in || p.Contains(addr)
	}
	return in, nil
}

// network reads a range of addresses, or a single one, in its one form.
func network(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	p, err := netip.ParsePrefix(text)
	if err != nil {
		if a, aErr := netip.ParseAddr(text); aErr == nil && a.Zone() == "" {
			a = a.Unmap()
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
	}
	if err == nil && p.Addr().Is4In6() {
		if p.Bits() < 96 {
			err = fmt.Errorf("%s mixes IPv4 and IPv6", text)
		} else {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
	}
	if err != nil {
		return p, refuse(storage.CodeMalformedRequest, "network_malformed",
			"A network is written as 192.0.2.0/24 or 2001:db8::/32, or as a single address.",
			"网段写作 192.0.2.0/24 或 2001:db8::/32，或写作单个地址。").CausedBy(err)
	}
	return p.Masked(), nil
}

// Networks lists what operators may come from, oldest first.
func (d *Desk) Networks(ctx context.Context) ([]NetworkView, error) {
	rows, err := d.db.OperatorNetworks(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the networks of operators: %w", err)
	}
	out := make([]NetworkView, 0, len(rows))
	for _, r := range rows {
		out = append(out, networkView(r))
	}
	return out, nil
}

func networkView(r meta.OperatorNetwork) NetworkView {
	return NetworkView{ID: r.ID, CIDR: r.CIDR, Note: r.Note, CreatedAt: r.CreatedAt.Time()}
}

// AddNetwork lets operators come from a network, and, if it is the first one, from nowhere else. from is the caller's address: a change
// that would lock it out is refused unless confirmed.
func (d *Desk) AddNetwork(ctx context.Context, who audit.Actor, reason, cidr, note string, from netip.Addr, confirm bool) (NetworkView, error) {
	p, err := network(cidr)
	if err != nil {
		return NetworkView{}, err
	}
	row := meta.OperatorNetwork{ID: meta.NewID(), CIDR: p.String(), Note: cut(note, maxNote), CreatedAt: d.now()}
	err = d.db.InTx(ctx, func(tx *meta.Tx) error {
		rows, err := tx.LockNetworks(string(Super))
		if err != nil {
			return fmt.Errorf("read the networks of operators: %w", err)
		}
		if len(rows) >= maxNetworks {
			return refuse(storage.CodeConflict, "network_too_many", fmt.Sprintf("There are %d networks, which is the limit.", maxNetworks),
				fmt.Sprintf("已有 %d 个网段，达到上限。", maxNetworks))
		}
		if err := keepsIn(append(rows, row), from, confirm); err != nil {
			return err
		}
		made, err := tx.CreateNetwork(row)
		if err != nil {
			return fmt.Errorf("add the network: %w", err)
		}
		if !made {
			return refuse(storage.CodeConflict, "network_exists", "That network is in the list already.", "该网段已在列表中。")
		}
		return record(tx, who, reason, "network.add", row.CIDR, map[string]any{"id": row.ID, "note": row.Note, "confirmed": confirm})
	})
	return networkView(row), err
}

// RemoveNetwork takes a network from the list, under the same rule as AddNetwork.
func (d *Desk) RemoveNetwork(ctx context.Context, who audit.Actor, reason, id string, from netip.Addr, confirm bool) error {
	return d.db.InTx(ctx, func(tx *meta.Tx) error {
		rows, err := tx.LockNetworks(string(Super))
		if err != nil {
			return fmt.Errorf("read the networks of operators: %w", err)
		}
		var left []meta.OperatorNetwork
		var gone *meta.OperatorNetwork
		for i := range rows {
			if rows[i].ID == id {
				gone = &rows[i]
			} else {
				left = append(left, rows[i])
			}
		}
		if gone == nil {
			return refuse(storage.CodeNotFound, "network_unknown", "There is no such network in the list.", "列表中没有这个网段。")
		}
		if err := keepsIn(left, from, confirm); err != nil {
			return err
		}
		if err := tx.RemoveNetworks([]string{id}); err != nil {
			return fmt.Errorf("remove the network: %w", err)
		}
		return record(tx, who, reason, "network.remove", gone.CIDR, map[string]any{"id": id, "note": gone.Note, "confirmed": confirm})
	})
}

// ClearNetworks empties the list, so that operators may come from anywhere: the way out when everybody is locked out.
func (d *Desk) ClearNetworks(ctx context.Context, who audit.Actor, reason string) ([]NetworkView, error) {
	var out []NetworkView
	err := d.db.InTx(ctx, func(tx *meta.Tx) error {
		out = []NetworkView{}
		rows, err := tx.LockNetworks(string(Super))
		if err != nil {
			return fmt.Errorf("read the networks of operators: %w", err)
		}
		var ids []string
		for _, r := range rows {
			ids, out = append(ids, r.ID), append(out, networkView(r))
			if err := record(tx, who, reason, "network.remove", r.CIDR, map[string]any{"id": r.ID, "note": r.Note, "cleared": true}); err != nil {
				return err
			}
		}
		if len(ids) == 0 {
			return nil
		}
		return tx.RemoveNetworks(ids)
	})
	return out, err
}

// keepsIn refuses a list that would lock the caller out.
func keepsIn(rows []meta.OperatorNetwork, from netip.Addr, confirm bool) error {
	if confirm {
		return nil
	}
	in, err := allowed(rows, from)
	if err != nil || in {
		return err
	}
	r := refuse(storage.CodeConflict, "network_locks_you_out",
		fmt.Sprintf("After this change your own address, %s, would be locked out. Confirm it if that is meant.", from),
		fmt.Sprintf("此更改会使您自己的地址 %s 无法访问。如确需如此，请确认。", from))
	r.Details["address"] = from.String()
	return r
}
