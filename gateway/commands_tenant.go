package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"gatehouse/gateway/admin"
	"gatehouse/storage"
)

// tenantCmds are the commands about tenants; the tags are their help.
type tenantCmds struct {
	Create   tenantCreateCmd   `cmd:"" help:"Create a tenant and its first API key, and print both."`
	List     tenantListCmd     `cmd:"" help:"List the tenants."`
	Show     tenantShowCmd     `cmd:"" help:"Show a tenant: its state, what it uses, what it may, its keys."`
	Suspend  tenantSuspendCmd  `cmd:"" help:"Refuse the uploads of a tenant. It may still read and delete."`
	Resume   tenantResumeCmd   `cmd:"" help:"Take a suspension back."`
	Delete   tenantDeleteCmd   `cmd:"" help:"Close a tenant: nothing of it is served any more. After tenants.cooling_off everything of it is removed."`
	Restore  tenantRestoreCmd  `cmd:"" help:"Take a deletion back, as long as the tenant is cooling off."`
	Purge    tenantPurgeCmd    `cmd:"" help:"End the cooling-off of a deleted tenant: a worker removes everything of it now. There is no way back. This is the emergency door of who has the machine: the admin API waits for the cooling-off to end and asks for an export."`
	Plan     tenantPlanCmd     `cmd:"" help:"Put a tenant on another plan."`
	Quota    tenantQuotaCmd    `cmd:"" help:"Give a tenant a quota of its own, or that of its plan again."`
	Override tenantOverrideCmd `cmd:"" help:"Let a tenant differ from its plan. The keys are those of a plan, as plan show prints them."`
}

type tenantCreateCmd struct {
	Name string `arg:"" help:"Name of the tenant, unique; Acme and acme are two."`
	Plan string `required:"" placeholder:"PLAN" help:"Plan of the tenant: free, pro, enterprise or one of your own."`
	JSON bool   `help:"Print a line of JSON with tenant_id and api_key."`
}

// Run creates a tenant.
func (t tenantCreateCmd) Run(ctx context.Context, c *cli) error {
	return withStore(ctx, c, func(a admin.Admin) error {
		made, err := a.CreateTenant(ctx, t.Name, t.Plan)
		if err != nil {
			return err
		}
		return c.made(made, t.JSON, made.TenantID, made.APIKey)
	})
}

type tenantListCmd struct {
	State string `enum:"provisioning,active,suspended,pending_delete,deleted,failed,any" default:"any" help:"Only those in this state: ${enum}."`
	JSON  bool   `help:"Print JSON: a list of objects."`
}

// listPage is how many tenants are read at once.
const listPage = 500

// Run lists tenants.
func (t tenantListCmd) Run(ctx context.Context, c *cli) error {
	state := storage.TenantState(t.State)
	if t.State == "any" {
		state = ""
	}
	return withAdmin(ctx, c, func(a admin.Admin) error {
		all := []admin.Tenant{}
		for after := ""; ; {
			page, err := a.Tenants(ctx, state, after, listPage)
			if err != nil {
				return err
			}
			all = append(all, page...)
			if len(page) < listPage {
				break
			}
			after = page[len(page)-1].Name
		}
		if t.JSON {
			return c.json(all)
		}
		rows := [][]string{{"NAME", "PLAN", "STATE", "USED", "QUOTA", "FILES", "ID"}}
		for _, x := range all {
			rows = append(rows, []string{
				x.Name, x.Plan, string(x.State), size(x.UsedBytes), quotaOf(x, size), strconv.FormatInt(x.Files, 10), x.ID,
			})
		}
		return c.table(rows)
	})
}

type tenantShowCmd struct {
	Tenant string `arg:"" help:"Name or id of the tenant."`
	JSON   bool   `help:"Print JSON."`
}

// Run shows a tenant.
func (t tenantShowCmd) Run(ctx context.Context, c *cli) error {
	return withAdmin(ctx, c, func(a admin.Admin) error {
		x, err := a.ShowTenant(ctx, t.Tenant)
		if err != nil {
			return err
		}
		if t.JSON {
			return c.json(x)
		}
		rows, err := tenantRows(x)
		if err != nil {
			return err
		}
		if err := c.table(rows); err != nil || len(x.Keys) == 0 {
			return err
		}
		if _, err := fmt.Fprintln(c.out); err != nil {
			return err
		}
		return c.table(keyRows(x.Keys))
	})
}

// tenantRows is everything about a tenant but its keys. What holds for it is named with where that is said.
func tenantRows(x admin.Tenant) ([][]string, error) {
	plan, quotaFrom := []string{"plan", x.Plan}, from(x.OwnQuota)
	if x.PlanMissing {
		plan = append(plan, "has no record")
		if !x.OwnQuota {
			quotaFrom = ""
		}
	}
	rows := [][]string{{"id", x.ID}, {"name", x.Name}, plan, {"state", string(x.State)}, {"reason", x.Reason}}
	if x.StateSince != nil {
		rows = append(rows, []string{"since", when(*x.StateSince)})
	}
	if x.DeleteAfter != nil {
		rows = append(rows, []string{"deleted after", when(*x.DeleteAfter)})
	}
	rows = append(rows, [][]string{
		{"created", when(x.CreatedAt)},
		{"storage_used_bytes", exact(x.UsedBytes)}, {"storage_reserved_bytes", exact(x.ReservedBytes)},
		{"files", strconv.FormatInt(x.Files, 10)}, {"files on their way", strconv.FormatInt(x.ReservedFiles, 10)},
		{"storage_quota_bytes", quotaOf(x, exact), quotaFrom},
	}...)
	if x.Held != nil && x.Held.Bytes > 0 {
		rows = append(rows, []string{"of deleted files", exact(x.Held.Bytes), "free by " + when(*x.Held.ReleasedAt)})
	}
	if x.Limits == nil { // its plan has no record
		return rows, nil
	}
	var holds, own map[string]json.RawMessage
	if err := json.Unmarshal(x.Limits, &holds); err != nil {
		return nil, fmt.Errorf("limits of %s: %w", x.Name, err)
	}
	if err := json.Unmarshal(x.Overrides, &own); err != nil {
		return nil, fmt.Errorf("overrides of %s: %w", x.Name, err)
	}
	for _, f := range specFields() {
		_, overridden := own[f.key]
		shown := value(f.key, holds[f.key])
		if f.key == "max_bytes" {
			shown = sizes(x.MaxBytes) // neither of the two raises what is configured
		}
		rows = append(rows, []string{f.key, shown, from(overridden)})
	}
	return rows, nil
}

// quotaOf is the tenant's quota in words; without its plan and without one of its own nobody knows it.
func quotaOf(x admin.Tenant, words func(int64) string) string {
	if x.PlanMissing && !x.OwnQuota {
		return "-"
	}
	return words(x.QuotaBytes)
}

func from(own bool) string {
	if own {
		return "its own"
	}
	return "of its plan"
}

// target is what the commands have that change a tenant's state.
type target struct {
	Tenant string `arg:"" help:"Name or id of the tenant."`
	Reason string `placeholder:"TEXT" help:"Why; kept with the tenant and in the audit log."`
	JSON   bool   `help:"Print what changed as JSON."`
}

func (t target) do(ctx context.Context, c *cli, move func(admin.Admin, context.Context, string, string) (admin.Change, error)) error {
	return withAdmin(ctx, c, func(a admin.Admin) error {
		change, err := move(a, ctx, t.Tenant, t.Reason)
		if err != nil {
			return err
		}
		return c.changed(change, t.JSON)
	})
}

type tenantSuspendCmd struct{ target }

// Run suspends.
func (t tenantSuspendCmd) Run(ctx context.Context, c *cli) error {
	return t.do(ctx, c, admin.Admin.Suspend)
}

type tenantResumeCmd struct{ target }

// Run resumes.
func (t tenantResumeCmd) Run(ctx context.Context, c *cli) error {
	return t.do(ctx, c, admin.Admin.Resume)
}

type tenantDeleteCmd struct{ target }

// Run deletes.
func (t tenantDeleteCmd) Run(ctx context.Context, c *cli) error {
	return t.do(ctx, c, admin.Admin.Delete)
}

type tenantRestoreCmd struct{ target }

// Run restores.
func (t tenantRestoreCmd) Run(ctx context.Context, c *cli) error {
	return t.do(ctx, c, admin.Admin.Restore)
}

type tenantPurgeCmd struct {
	target
	Confirm string `required:"" placeholder:"NAME" help:"The tenant's name once more."`
}

// Run purges.
func (t tenantPurgeCmd) Run(ctx context.Context, c *cli) error {
	return t.do(ctx, c, func(a admin.Admin, ctx context.Context, tenant, reason string) (admin.Change, error) {
		return a.Purge(ctx, tenant, t.Confirm, reason)
	})
}

// why is what all other commands have that change something.
type why struct {
	Reason string `placeholder:"TEXT" help:"Why; kept in the audit log."`
}

// shorter is what the commands have that can shorten how long files are kept.
type shorter struct {
	DeleteOlder bool `help:"Agree that files older than a shorter retention_days are deleted within the hour; without it such a change is refused."`
}

type tenantPlanCmd struct {
	why
	shorter
	Tenant string `arg:"" help:"Name or id of the tenant."`
	Plan   string `arg:"" help:"The plan; plan list shows them."`
	JSON   bool   `help:"Print what changed as JSON."`
}

// Run changes the plan.
func (t tenantPlanCmd) Run(ctx context.Context, c *cli) error {
	return withAdmin(ctx, c, func(a admin.Admin) error {
		a.Reason, a.DeleteOlder = t.Reason, t.DeleteOlder
		change, err := a.SetTenantPlan(ctx, t.Tenant, t.Plan)
		if err != nil {
			return err
		}
		return c.changed(change, t.JSON)
	})
}

type tenantQuotaCmd struct {
	why
	Tenant string `arg:"" help:"Name or id of the tenant."`
	Bytes  string `arg:"" help:"The quota: bytes, a size like 10GiB, 0 for room for nothing, unlimited, or plan for that of its plan."`
	JSON   bool   `help:"Print what changed as JSON."`
}

// Run changes the quota.
func (t tenantQuotaCmd) Run(ctx context.Context, c *cli) error {
	var bytes *int64
	if t.Bytes != "plan" {
		n, err := parseQuota(t.Bytes)
		if err != nil {
			return fmt.Errorf("%s: a size is expected, like 10GiB, or 0 (room for nothing), unlimited, or plan (the quota of its plan)", t.Bytes)
		}
		bytes = &n
	}
	return withAdmin(ctx, c, func(a admin.Admin) error {
		a.Reason = t.Reason
		change, err := a.SetTenantQuota(ctx, t.Tenant, bytes)
		if err != nil {
			return err
		}
		return c.changed(change, t.JSON)
	})
}

type tenantOverrideCmd struct {
	why
	shorter
	Tenant string   `arg:"" help:"Name or id of the tenant."`
	Set    []string `arg:"" optional:"" name:"key=value" help:"What to set, like max_files=1000 max_bytes.video=50MiB image_presets=w640,w320. The word unlimited is no limit."`
	Clear  []string `placeholder:"KEY" help:"What is to be as in the plan again; may be repeated."`
	JSON   bool     `help:"Print what changed as JSON."`
}

// Run changes the overrides.
func (t tenantOverrideCmd) Run(ctx context.Context, c *cli) error {
	edit, err := parseEdit(t.Set, t.Clear)
	if err != nil {
		return err
	}
	return withAdmin(ctx, c, func(a admin.Admin) error {
		a.Reason, a.DeleteOlder = t.Reason, t.DeleteOlder
		change, err := a.SetOverrides(ctx, t.Tenant, edit)
		if err != nil {
			return err
		}
		return c.changed(change, t.JSON)
	})
}
