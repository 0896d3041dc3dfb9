package settings

import "time"

// Values are all settings. A program fills in what its configuration says; what is set replaces it.
type Values struct {
	// UploadsAccept: false refuses new uploads, with UploadsMessage; everything else goes on.
	UploadsAccept  bool
	UploadsMessage string
	// What follows means what the configuration keys of the same names mean.
	AlertsRefusals       int64
	AlertsQueriesPerHour int64
	AlertsNightFrom      Clock
	AlertsNightUntil     Clock
	AlertsRepeat         time.Duration
}

// Clock is a time of day, like 22:00.
type Clock string

// Setting is one thing that can be set.
type Setting struct {
	Name string
	// Means is for people.
	Means string
	// Least and Most bound a number, the bytes of a text, or the seconds of a duration.
	Least, Most int64

	// field is where it stands in the values.
	field func(*Values) any
}

// List is THE list of settings. Those of alerts have the names and bounds of their configuration keys.
var List = []Setting{
	{"uploads.accept", "Whether uploads are accepted. false refuses every new one with UNAVAILABLE (reason uploads_paused); files can still be read.",
		0, 0, func(v *Values) any { return &v.UploadsAccept }},
	{"uploads.message", "What a refused uploader is told while uploads.accept is false, beside that uploads are paused.",
		0, 300, func(v *Values) any { return &v.UploadsMessage }},
	{"alerts.refusals", "Refused uploads of one tenant within alerts.refusals_window that raise an alert.",
		1, 1 << 40, func(v *Values) any { return &v.AlertsRefusals }},
	{"alerts.queries_per_hour", "Lists and pages that one operator or token may read in an hour before an alert.",
		1, 100_000, func(v *Values) any { return &v.AlertsQueriesPerHour }},
	{"alerts.night_from", "When the hours begin in which changes raise an alert, by the clock of alerts.timezone. The same as alerts.night_until: never.",
		0, 0, func(v *Values) any { return &v.AlertsNightFrom }},
	{"alerts.night_until", "When those hours end.",
		0, 0, func(v *Values) any { return &v.AlertsNightUntil }},
	{"alerts.repeat", "Pace at which an open alert that nobody has acknowledged is told again.",
		60, 30 * 24 * 3600, func(v *Values) any { return &v.AlertsRepeat }},
}

// ByName finds a setting.
func ByName(name string) (Setting, bool) {
	for _, s := range List {
		if s.Name == name {
			return s, true
		}
	}
	return Setting{}, false
}
