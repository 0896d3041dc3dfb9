package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/settings"
)

// RuntimeSetting is something that may be changed while the programs run.
type RuntimeSetting struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
	// Default is the configured value, which holds until another one is set.
	Default json.RawMessage `json:"default"`
	// Source is set or configured.
	Source string `json:"source"`
	Means  string `json:"means"`
	// Kind is boolean, text, number, time_of_day or duration.
	Kind string `json:"kind"`
	// Least and Most bound a number, the bytes of a text and the seconds of a duration.
	Least     *int64     `json:"least"`
	Most      *int64     `json:"most"`
	UpdatedAt *time.Time `json:"updated_at"`
	UpdatedBy string     `json:"updated_by"`
}

// RuntimeSettings lists all of them with what holds now.
func (a Admin) RuntimeSettings(ctx context.Context) ([]RuntimeSetting, error) {
	rows, err := a.DB.Settings(ctx)
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	now := settings.With(a.Configured, rows)
	out := make([]RuntimeSetting, 0, len(settings.List))
	for _, s := range settings.List {
		view := RuntimeSetting{Name: s.Name, Value: s.Of(now), Default: s.Of(a.Configured), Source: "configured", Means: s.Means, Kind: s.Kind()}
		if s.Most > 0 {
			view.Least, view.Most = &s.Least, &s.Most
		}
		for _, r := range rows {
			if r.Name == s.Name {
				view.Source, view.UpdatedAt, view.UpdatedBy = "set", r.UpdatedAt.TimeIfSet(), r.UpdatedBy
			}
		}
		out = append(out, view)
	}
	return out, nil
}

func (a Admin) runtimeSetting(ctx context.Context, name string) (RuntimeSetting, error) {
	list, err := a.RuntimeSettings(ctx)
	for _, s := range list {
		if s.Name == name {
			return s, err
		}
	}
	return RuntimeSetting{}, err
}

func settingByName(name string) (settings.Setting, error) {
	s, ok := settings.ByName(name)
	if !ok {
		var names []string
		for _, known := range settings.List {
			names = append(names, known.Name)
		}
		list := strings.Join(names, ", ")
		return s, refuse(storage.CodeNotFound, "setting_unknown",
			fmt.Sprintf("There is no setting %q; there are: %s.", name, list), fmt.Sprintf("没有设置项 %q；可用：%s。", name, list))
	}
	return s, nil
}

// Set sets one; it holds within seconds everywhere. by is who is shown with it.
func (a Admin) Set(ctx context.Context, name string, value json.RawMessage, by string) (RuntimeSetting, error) {
	s, err := settingByName(name)
	if err != nil {
		return RuntimeSetting{}, err
	}
	next := a.Configured
	if err := s.Put(&next, value); err != nil {
		return RuntimeSetting{}, refuse(storage.CodeMalformedRequest, "setting_value",
			fmt.Sprintf("The value does not fit the setting %s: %s.", name, err), fmt.Sprintf("设置项 %s 的值无效：%s。", name, err))
	}
	err = a.DB.InTx(ctx, func(tx *meta.Tx) error {
		before, err := a.before(tx, s)
		if err != nil {
			return err
		}
		if err := tx.SaveSetting(meta.Setting{Name: name, Value: string(s.Of(next)), UpdatedAt: meta.Now(), UpdatedBy: by}); err != nil {
			return fmt.Errorf("write setting: %w", err)
		}
		return a.write(tx, "", "setting.set", name, map[string]any{"before": before, "after": s.Of(next)})
	})
	if err != nil {
		return RuntimeSetting{}, err
	}
	return a.runtimeSetting(ctx, name)
}

// Unset takes one back: the configured value holds again.
func (a Admin) Unset(ctx context.Context, name string) (RuntimeSetting, error) {
	s, err := settingByName(name)
	if err != nil {
		return RuntimeSetting{}, err
	}
	err = a.DB.InTx(ctx, func(tx *meta.Tx) error {
		before, err := a.before(tx, s)
		if err != nil {
			return err
		}
		if err := tx.DropSetting(name); err != nil {
			return fmt.Errorf("remove setting: %w", err)
		}
		return a.write(tx, "", "setting.unset", name, map[string]any{"before": before, "after": s.Of(a.Configured)})
	})
	if err != nil {
		return RuntimeSetting{}, err
	}
	return a.runtimeSetting(ctx, name)
}

// before is the value that holds, and keeps it from changing to the end of the transaction.
func (a Admin) before(tx *meta.Tx, s settings.Setting) (json.RawMessage, error) {
	row, err := tx.SettingBy(s.Name)
	if errors.Is(err, storage.ErrNotFound) {
		return s.Of(a.Configured), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read setting: %w", err)
	}
	return s.Of(settings.With(a.Configured, []meta.Setting{row})), nil
}
