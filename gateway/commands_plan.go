package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gatehouse/configs"
	"gatehouse/gateway/admin"
	"gatehouse/quota"
)

// planCmds are the commands about plans; the tags are their help.
type planCmds struct {
	List   planListCmd   `cmd:"" help:"List the plans."`
	Show   planShowCmd   `cmd:"" help:"Show everything that a plan says."`
	Set    planSetCmd    `cmd:"" help:"Change a plan. It holds at once for all tenants on it."`
	Create planCreateCmd `cmd:"" help:"Create a plan that is like another one."`
	Remove planRemoveCmd `cmd:"" help:"Remove a plan that no tenant is on. One that stands in the configuration comes back with the next migrate."`
}

type planListCmd struct {
	JSON bool `help:"Print JSON: a list of objects."`
}

// Run lists plans.
func (p planListCmd) Run(ctx context.Context, c *cli) error {
	return withAdmin(ctx, c, func(a admin.Admin) error {
		plans, err := a.Plans(ctx)
		if err != nil {
			return err
		}
		if p.JSON {
			return c.json(plans)
		}
		rows := [][]string{{"NAME", "STORAGE", "TENANTS", "CHANGED"}}
		for _, x := range plans {
			rows = append(rows, []string{x.Name, size(x.StorageBytes), strconv.FormatInt(x.Tenants, 10), when(x.UpdatedAt)})
		}
		return c.table(rows)
	})
}

type planShowCmd struct {
	Plan string `arg:"" help:"Name of the plan."`
	JSON bool   `help:"Print JSON."`
}

// Run shows a plan.
func (p planShowCmd) Run(ctx context.Context, c *cli) error {
	return withAdmin(ctx, c, func(a admin.Admin) error {
		x, err := a.ShowPlan(ctx, p.Plan)
		if err != nil {
			return err
		}
		return c.plan(x, p.JSON)
	})
}

// plan prints a plan, with the keys that it leaves to their defaults too: they can be set.
func (c *cli) plan(x admin.Plan, asJSON bool) error {
	if asJSON {
		return c.json(x)
	}
	said := map[string]json.RawMessage{}
	if err := json.Unmarshal(x.Spec, &said); err != nil {
		return fmt.Errorf("spec of plan %s: %w", x.Name, err)
	}
	rows := [][]string{
		{"name", x.Name}, {"tenants", strconv.FormatInt(x.Tenants, 10)}, {"changed", when(x.UpdatedAt)},
		{storageKey, exact(x.StorageBytes)},
	}
	for _, f := range specFields() {
		rows = append(rows, []string{f.key, value(f.key, said[f.key])})
	}
	return c.table(rows)
}

type planSetCmd struct {
	why
	shorter
	Plan  string   `arg:"" help:"Name of the plan."`
	Set   []string `arg:"" optional:"" name:"key=value" help:"What to set, like storage_bytes=10GiB retention_days=30 max_bytes.video=50MiB. The word unlimited is no limit; storage_bytes=0 is room for nothing."`
	Clear []string `placeholder:"KEY" help:"What the plan shall say nothing about any more; may be repeated."`
	JSON  bool     `help:"Print what changed as JSON."`
}

// Run changes a plan.
func (p planSetCmd) Run(ctx context.Context, c *cli) error {
	edit, err := parseEdit(p.Set, p.Clear)
	if err != nil {
		return err
	}
	return withAdmin(ctx, c, func(a admin.Admin) error {
		a.Reason, a.DeleteOlder = p.Reason, p.DeleteOlder
		change, err := a.SetPlan(ctx, p.Plan, edit)
		if err != nil {
			return err
		}
		return c.changed(change, p.JSON)
	})
}

type planCreateCmd struct {
	why
	shorter
	Plan string `arg:"" help:"Name of the new plan."`
	Like string `required:"" placeholder:"PLAN" help:"The plan to copy."`
	JSON bool   `help:"Print the plan as JSON."`
}

// Run creates a plan.
func (p planCreateCmd) Run(ctx context.Context, c *cli) error {
	return withAdmin(ctx, c, func(a admin.Admin) error {
		a.Reason, a.DeleteOlder = p.Reason, p.DeleteOlder
		made, err := a.CreatePlan(ctx, p.Plan, p.Like)
		if err != nil {
			return err
		}
		return c.plan(made, p.JSON)
	})
}

type planRemoveCmd struct {
	why
	Plan string `arg:"" help:"Name of the plan."`
}

// Run removes a plan.
func (p planRemoveCmd) Run(ctx context.Context, c *cli) error {
	return withAdmin(ctx, c, func(a admin.Admin) error {
		a.Reason = p.Reason
		if err := a.RemovePlan(ctx, p.Plan); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.out, "The plan %s is removed. If it stands in the configuration, it comes back with the next migrate.\n", p.Plan)
		return err
	})
}

// storageKey is the key of a plan that is no part of its spec.
const storageKey = "storage_bytes"

// specField is a key of a plan's spec and the type of its value.
type specField struct {
	key string
	of  reflect.Type
}

func specFields() []specField {
	var out []specField
	for f := range reflect.TypeFor[quota.Spec]().Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out = append(out, specField{key, f.Type})
	}
	return out
}

// parseEdit reads KEY=VALUE arguments. The type of the key says how its value is written: lists with commas, sizes with
// units.
func parseEdit(set, clearing []string) (admin.Edit, error) {
	e := admin.Edit{Set: map[string]json.RawMessage{}, Clear: clearing}
	if len(set)+len(clearing) == 0 {
		return e, errors.New("nothing to change: KEY=VALUE or --clear KEY is expected")
	}
	for _, arg := range set {
		key, value, ok := strings.Cut(arg, "=")
		if !ok {
			return e, fmt.Errorf("%s: KEY=VALUE is expected", arg)
		}
		parsed, err := parseValue(key, value)
		if err != nil {
			return e, fmt.Errorf("%s: %w", key, err)
		}
		if e.Set[key], err = json.Marshal(parsed); err != nil {
			return e, fmt.Errorf("%s: %w", key, err)
		}
	}
	return e, nil
}

func parseValue(key, value string) (any, error) {
	if key == storageKey {
		return parseQuota(value)
	}
	root, inner, nested := strings.Cut(key, ".")
	fields := specFields()
	i := slices.IndexFunc(fields, func(f specField) bool { return f.key == root })
	if i < 0 {
		keys := []string{storageKey + " (of plans)"}
		for _, f := range fields {
			keys = append(keys, f.key)
		}
		return nil, errors.New("there is no such key; there are " + strings.Join(keys, ", "))
	}
	switch kind := fields[i].of.Kind(); {
	case kind == reflect.Map && inner != "":
		return parseSize(value)
	case kind == reflect.Map:
		return nil, fmt.Errorf("a category is expected, as in %s.video=50MiB", root)
	case nested:
		return nil, fmt.Errorf("%s has no parts", root)
	case kind == reflect.Slice && value == "":
		return []string{}, nil
	case kind == reflect.Slice:
		return strings.Split(value, ","), nil
	case kind == reflect.Bool:
		on, err := strconv.ParseBool(value)
		if err != nil {
			return nil, errors.New("true or false is expected")
		}
		return on, nil
	case kind == reflect.Int64:
		return parseNumber(value)
	}
	return value, nil
}

// unlimited is how people write and read that there is no limit. 0 always means nothing, which no number of a plan but its
// bytes can be.
const unlimited = "unlimited"

// parseNumber reads a number of a spec, in which no limit is stored as 0.
func parseNumber(s string) (int64, error) {
	if s == unlimited {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil:
		return 0, errors.New("a whole number is expected, or unlimited")
	case n == 0:
		return 0, errors.New("1 or more is expected, or unlimited; to stop all uploads of a tenant, suspend it")
	}
	return n, nil
}

// parseQuota reads a number of bytes that may be no limit.
func parseQuota(s string) (int64, error) {
	if s == unlimited {
		return quota.Unlimited, nil
	}
	return parseSize(s)
}

func parseSize(s string) (int64, error) {
	n, err := configs.ParseBytes(s)
	return int64(n), err
}
