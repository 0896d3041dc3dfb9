package api

import (
	"context"
	"encoding/json"

	"gatehouse/gateway/admin"
)

// SettingEdit sets a setting.
type SettingEdit struct {
	Why
	Name  string          `path:"name" json:"-"`
	Value json.RawMessage `json:"value" doc:"The new value; its kind and bounds stand in the list."`
}

// Settings lists what may be changed at run time, in the order of THE list.
func (a *API) Settings() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, _ Nothing) (SettingList, error) {
		all, err := r.Admin.RuntimeSettings(ctx)
		return SettingList{all}, err
	})
}

// SettingList is all settings: there are few, so they come at once.
type SettingList struct {
	Items []admin.RuntimeSetting `json:"items"`
}

// PutSetting sets one.
func (a *API) PutSetting() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in SettingEdit) (admin.RuntimeSetting, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.Set(ctx, in.Name, in.Value, r.By.Name)
	})
}

// DropSetting goes back to the configured value.
func (a *API) DropSetting() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in NamedWhy) (admin.RuntimeSetting, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.Unset(ctx, in.Name)
	})
}
