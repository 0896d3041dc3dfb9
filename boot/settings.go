package boot

import (
	"gatehouse/configs"
	"gatehouse/storage/settings"
)

// Settings are what operators may change at run time, as it is configured.
func Settings(cfg *configs.Config) settings.Values {
	a := cfg.Alerts
	return settings.Values{
		UploadsAccept:  true,
		AlertsRefusals: a.Refusals, AlertsQueriesPerHour: a.QueriesPerHour, AlertsRepeat: a.Repeat,
		AlertsNightFrom: settings.Clock(a.NightFrom), AlertsNightUntil: settings.Clock(a.NightUntil),
	}
}
