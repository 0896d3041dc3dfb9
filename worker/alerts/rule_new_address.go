package alerts

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"gatehouse/storage/meta"
)

// mostAddresses bounds how many addresses one look learns; the next one goes on.
const mostAddresses = 5000

// newAddress tells of addresses from which an operator or a token comes for the first time. The very first one of an
// account is only noted: that of a new operator, and of the first one of an installation, has to be new.
func newAddress(ctx context.Context, look *Look) ([]Finding, error) {
	since := look.operatorsSince()
	seen, err := look.DB.AddressesSince(ctx, since, mostAddresses)
	if err != nil {
		return nil, err
	}
	var actors []string
	for _, s := range seen {
		actors = append(actors, s.Actor)
	}
	slices.Sort(actors)
	actors = slices.Compact(actors)
	known, err := look.DB.KnownAddresses(ctx, actors)
	if err != nil {
		return nil, err
	}
	for _, s := range seen { // the earliest first
		s.Address = network(s.Address)
		if slices.ContainsFunc(known, func(k meta.OperatorAddress) bool { return k.Actor == s.Actor && k.Address == s.Address }) {
			continue
		}
		if err := look.DB.KnowAddress(ctx, s); err != nil {
			return nil, err
		}
		known = append(known, s)
	}
	first := map[string]meta.OperatorAddress{}
	for _, k := range known {
		if f, there := first[k.Actor]; !there || k.FirstAt < f.FirstAt {
			first[k.Actor] = k
		}
	}
	var out []Finding
	for _, k := range known {
		if k.FirstAt < since {
			continue
		}
		out = append(out, addressFinding(k, first[k.Actor] == k))
	}
	return out, nil
}

func addressFinding(a meta.OperatorAddress, first bool) Finding {
	f := Finding{
		Subject: a.Actor + " " + a.Address, Severity: Warning,
		Message: fmt.Sprintf("The %s came from %s for the first time, at %s. If that was not the operator, end the sessions, or revoke the token. `gateway audit` shows what was done from there.",
			a.Actor, a.Address, at(a.FirstAt.Time())),
		Facts: map[string]any{"actor": a.Actor, "address": a.Address, "first_at": a.FirstAt.Time(), "first_of_account": first},
	}
	if first {
		f.Severity = Info
		f.Message = fmt.Sprintf("The %s was used for the first time, from %s, at %s. `gateway audit` shows what it did.", a.Actor, a.Address, at(a.FirstAt.Time()))
	}
	return f
}

// network is the address that is remembered. Of IPv6 it is the network of the site (RFC 4291: 64 bits): a machine changes
// the rest every day by itself (RFC 8981).
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Unmap().Is4() {
		return strings.TrimPrefix(address, "::ffff:")
	}
	return netip.PrefixFrom(a.WithZone(""), 64).Masked().String()
}
