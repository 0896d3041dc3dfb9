package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"gatehouse/gateway/admin"
	"gatehouse/storage"
)

type assetListCmd struct {
	Tenant string `arg:"" help:"Name or id of the tenant."`
	State  string `enum:"quarantined,available,rejected,any" default:"any" help:"Only those in this state: ${enum}."`
	Limit  int    `default:"100" placeholder:"N" help:"At most so many, 1 to 10000, newest first."`
	Before string `placeholder:"ID" help:"Only those older than this asset: the next page."`
	JSON   bool   `help:"Print JSON: a list of objects."`
}

// mostListed bounds what a list reads at once.
const mostListed = 10_000

func checkLimit(n int) error {
	if n < 1 || n > mostListed {
		return fmt.Errorf("--limit: 1 to %d is expected, not %d", mostListed, n)
	}
	return nil
}

// assetPage is how many assets are read at once: a statement has a parameter for each.
const assetPage = 200

// Run lists assets.
func (l assetListCmd) Run(ctx context.Context, c *cli) error {
	if err := checkLimit(l.Limit); err != nil {
		return err
	}
	state := storage.AssetState(l.State)
	if l.State == "any" {
		state = ""
	}
	return withAdmin(ctx, c, func(a admin.Admin) error {
		all := []admin.Asset{}
		before := l.Before
		for len(all) < l.Limit {
			want := min(assetPage, l.Limit-len(all))
			page, err := a.Assets(ctx, l.Tenant, state, before, want)
			if err != nil {
				return err
			}
			all = append(all, page...)
			if len(page) < want {
				break
			}
			before = page[want-1].ID
		}
		if l.JSON {
			return c.json(all)
		}
		return c.assets(all, l.Limit)
	})
}

func (c *cli) assets(all []admin.Asset, limit int) error {
	rows := [][]string{{"ID", "STATE", "CATEGORY", "SIZE", "UPLOADED", "SCAN", "NAME"}}
	for _, x := range all {
		scan := string(x.Scan)
		if x.Signature != "" {
			scan += ": " + printable(x.Signature)
		}
		rows = append(rows, []string{x.ID, string(x.State), string(x.Category), size(x.Size), when(x.CreatedAt), scan, printable(x.Name)})
	}
	if err := c.table(rows); err != nil || len(all) < limit {
		return err
	}
	_, err := fmt.Fprintf(c.out, "There may be more: --before %s\n", all[len(all)-1].ID)
	return err
}

// printable is a text of somebody else as a terminal may show it: what would move the cursor, turn the direction or hide is
// written as a quoted string.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.QuoteToGraphic(s)
	}
	return s
}
