package main

import (
	"context"
	"fmt"
	"strings"

	"gatehouse/configs"
	"gatehouse/gateway/admin"
	"gatehouse/gateway/auth/operator"
	"gatehouse/storage/audit"
)

// operatorCmds are the commands about operators; the tags are their help.
type operatorCmds struct {
	Create     operatorCreateCmd     `cmd:"" help:"Create an operator and print the one-time link with which its owner chooses a password."`
	List       operatorListCmd       `cmd:"" help:"List the operators."`
	Reset      operatorResetCmd      `cmd:"" help:"Take password, second factor and sessions of an operator away, and print a new one-time link."`
	Unlock     operatorUnlockCmd     `cmd:"" help:"Forget the failed logins of an operator, and with them the lock."`
	Deactivate operatorDeactivateCmd `cmd:"" help:"Shut an operator out, with all sessions and tokens."`
	Networks   struct {
		List  networksListCmd  `cmd:"" default:"1" help:"List the networks that operators may come from."`
		Clear networksClearCmd `cmd:"" help:"Empty the list, so that operators may come from anywhere: the way out when everybody is locked out."`
	} `cmd:"" help:"The networks that operators may come from; with none in the list they may come from anywhere."`
}

// withDesk runs what concerns operators' accounts.
func withDesk(ctx context.Context, c *cli, do func(*configs.Config, *operator.Desk) error) error {
	return withConfig(ctx, c, func(cfg *configs.Config, a admin.Admin) error {
		key, err := cfg.OperatorKey()
		if err != nil {
			return err
		}
		desk, err := operator.NewDesk(a.DB, key)
		if err != nil {
			return err
		}
		return do(cfg, desk)
	})
}

// setupPath is where a link is turned into a password.
const setupPath = "/api/admin/auth/setup"

// setupLink is what is printed of a one-time link.
type setupLink struct {
	Operator operator.OperatorView `json:"operator"`
	Link     string                `json:"link"`
	URL      string                `json:"url"`
}

func (c *cli) setupLink(cfg *configs.Config, v operator.OperatorView, link string, asJSON bool) error {
	l := setupLink{Operator: v, Link: link, URL: strings.TrimRight(cfg.HTTP.PublicURL, "/") + setupPath}
	if asJSON {
		return c.json(l)
	}
	to := l.URL
	if cfg.HTTP.PublicURL == "" {
		to = "https://YOUR-GATEWAY" + setupPath
	}
	_, err := fmt.Fprintf(c.out, `operator: %s (%s)
link:     %s
The link is shown this once, works once, and for a day. Give it to %s and nobody else. The owner chooses the password with it,
and then logs in to set up the second factor (docs/admin-api.md):

  curl --json '{"link": "%s", "password": "..."}' %s
`, v.Name, v.Role, link, v.Name, link, to)
	return err
}

type operatorCreateCmd struct {
	why
	Name string `arg:"" help:"Name to log in with: 2 to 64 letters, digits and . _ @ -; case does not count."`
	Role string `required:"" enum:"auditor,ops,super" placeholder:"ROLE" help:"What the operator may do: auditor reads, ops steers, super also makes operators and does what cannot be undone."`
	JSON bool   `help:"Print a line of JSON with operator, link and url."`
}

// Run creates an operator.
func (o operatorCreateCmd) Run(ctx context.Context, c *cli) error {
	return withDesk(ctx, c, func(cfg *configs.Config, d *operator.Desk) error {
		v, link, err := d.CreateOperator(ctx, audit.CLI, o.Reason, o.Name, operator.Role(o.Role))
		if err != nil {
			return err
		}
		return c.setupLink(cfg, v, link, o.JSON)
	})
}

type operatorListCmd struct {
	JSON bool `help:"Print JSON: a list of objects."`
}

// Run lists operators.
func (o operatorListCmd) Run(ctx context.Context, c *cli) error {
	return withDesk(ctx, c, func(_ *configs.Config, d *operator.Desk) error {
		list, err := d.Operators(ctx)
		if err != nil {
			return err
		}
		if o.JSON {
			return c.json(list)
		}
		rows := [][]string{{"NAME", "ROLE", "STATE", "SET UP", "LAST LOGIN", "ID"}}
		for _, v := range list {
			rows = append(rows, []string{v.Name, string(v.Role), stateOf(v), setUp(v), lastLogin(v), v.ID})
		}
		return c.table(rows)
	})
}

func stateOf(v operator.OperatorView) string {
	if v.LockedUntil != nil {
		return v.State + ", locked until " + when(*v.LockedUntil)
	}
	return v.State
}

// setUp is how far the owner has come.
func setUp(v operator.OperatorView) string {
	switch {
	case !v.PasswordSet:
		return "no password yet"
	case !v.Enrolled:
		return "no second factor yet"
	}
	return "yes"
}

func lastLogin(v operator.OperatorView) string {
	if v.LoginAt == nil {
		return "never"
	}
	return when(*v.LoginAt)
}

type operatorResetCmd struct {
	why
	Name string `arg:"" help:"Name or id of the operator."`
	JSON bool   `help:"Print a line of JSON with operator, link and url."`
}

// Run resets an operator's access.
func (o operatorResetCmd) Run(ctx context.Context, c *cli) error {
	return withDesk(ctx, c, func(cfg *configs.Config, d *operator.Desk) error {
		v, link, err := d.ResetAccess(ctx, audit.CLI, o.Reason, o.Name)
		if err != nil {
			return err
		}
		return c.setupLink(cfg, v, link, o.JSON)
	})
}

type operatorUnlockCmd struct {
	why
	Name string `arg:"" help:"Name or id of the operator."`
}

// Run lifts a lock.
func (o operatorUnlockCmd) Run(ctx context.Context, c *cli) error {
	return withDesk(ctx, c, func(_ *configs.Config, d *operator.Desk) error {
		v, err := d.Unlock(ctx, audit.CLI, o.Reason, o.Name)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "%s: no longer locked. A lock of an address ends by itself within the hour.\n", v.Name)
		return err
	})
}

type operatorDeactivateCmd struct {
	why
	Name string `arg:"" help:"Name or id of the operator."`
}

// Run shuts an operator out.
func (o operatorDeactivateCmd) Run(ctx context.Context, c *cli) error {
	return withDesk(ctx, c, func(_ *configs.Config, d *operator.Desk) error {
		v, err := d.Deactivate(ctx, audit.CLI, o.Reason, o.Name)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "%s: %s. All its sessions have ended, and its tokens are refused.\n", v.Name, v.State)
		return err
	})
}

type networksListCmd struct {
	JSON bool `help:"Print JSON: a list of objects."`
}

// Run lists networks.
func (n networksListCmd) Run(ctx context.Context, c *cli) error {
	return withDesk(ctx, c, func(_ *configs.Config, d *operator.Desk) error {
		list, err := d.Networks(ctx)
		if err != nil {
			return err
		}
		if n.JSON {
			return c.json(list)
		}
		return c.networks(list)
	})
}

func (c *cli) networks(list []operator.NetworkView) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(c.out, "No networks: operators may come from anywhere.")
		return err
	}
	rows := [][]string{{"NETWORK", "NOTE", "SINCE", "ID"}}
	for _, v := range list {
		rows = append(rows, []string{v.CIDR, v.Note, when(v.CreatedAt), v.ID})
	}
	return c.table(rows)
}

type networksClearCmd struct {
	why
}

// Run empties the list.
func (n networksClearCmd) Run(ctx context.Context, c *cli) error {
	return withDesk(ctx, c, func(_ *configs.Config, d *operator.Desk) error {
		gone, err := d.ClearNetworks(ctx, audit.CLI, n.Reason)
		if err != nil {
			return err
		}
		for _, v := range gone {
			if _, err := fmt.Fprintln(c.out, "removed", v.CIDR); err != nil {
				return err
			}
		}
		return c.networks(nil)
	})
}
