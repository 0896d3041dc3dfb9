package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"gatehouse/configs"
	"gatehouse/gateway/admin"
)

type auditCmds struct {
	List   auditCmd       `cmd:"" default:"withargs" help:"Read the log, newest first."`
	Verify auditVerifyCmd `cmd:"" help:"Tell whether the log is what was written, and name the first record that is not. Fails when one is not."`
	Export auditExportCmd `cmd:"" help:"Write the sealed part of the log to a file that can be verified without database and configuration."`
	Key    auditKeyCmd    `cmd:"" help:"Print the public key that verifies the log."`
}

type auditCmd struct {
	Tenant string `placeholder:"TENANT" help:"Only what is about this tenant: its name or id."`
	Action string `placeholder:"ACTION" help:"Only this action, like tenant.suspend, or all of a family, like tenant or asset."`
	Since  string `placeholder:"AGE" help:"Only what is younger, like 90m, 24h or 30d; or a time like 2026-11-02T10:00:00Z."`
	Limit  int    `default:"100" placeholder:"N" help:"At most so many, 1 to 10000."`
	JSON   bool   `help:"Print JSON: a list of objects, with all that is recorded."`
}

// Run prints the audit log.
func (l auditCmd) Run(ctx context.Context, c *cli) error {
	if err := checkLimit(l.Limit); err != nil {
		return err
	}
	since, err := parseSince(l.Since, time.Now())
	if err != nil {
		return err
	}
	return withAdmin(ctx, c, func(a admin.Admin) error {
		list, err := a.Log(ctx, l.Tenant, l.Action, since, l.Limit)
		if err != nil {
			return err
		}
		if l.JSON {
			return c.json(list)
		}
		rows := [][]string{{"AT", "ACTION", "RESULT", "TENANT", "TARGET", "BY", "DATA"}}
		for _, r := range list {
			rows = append(rows, []string{
				when(r.At), r.Action, strings.TrimSpace(r.Result + " " + r.Code), dash(printable(cmp.Or(r.Tenant, r.TenantID))),
				dash(printable(r.Target)), printable(strings.TrimSpace(r.Actor + " " + r.ActorID)), printable(string(r.Data)),
			})
		}
		return c.table(rows)
	})
}

// dash stands for nothing in a column.
func dash(s string) string { return cmp.Or(s, "-") }

// parseSince reads an age or a time; nothing is no time.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return at, nil
	}
	age, err := configs.ParseDuration(s)
	if err != nil || age <= 0 {
		return time.Time{}, fmt.Errorf("--since: an age is expected, like 90m, 24h or 30d, or a time like 2026-11-02T10:00:00Z, not %q", s)
	}
	return now.Add(-age), nil
}
