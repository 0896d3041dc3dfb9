package configs

import (
	"maps"
	"slices"
	"time"
	_ "time/tzdata" // containers have no zones of their own
)

// checkAlerts checks all that can be known here; the names of rules are checked by the worker, which has them.
func (l *loader) checkAlerts(c *Config) {
	a := c.Alerts
	l.must(a.DiskWarning <= a.DiskCritical, "alerts.disk_warning_percent", "not more than alerts.disk_critical_percent is allowed")
	l.must(a.Repeat >= a.Interval, "alerts.repeat", "not less than alerts.interval ("+formatDuration(a.Interval)+") is allowed")
	l.timeOfDay("alerts.night_from", a.NightFrom)
	l.timeOfDay("alerts.night_until", a.NightUntil)
	_, err := time.LoadLocation(a.Timezone)
	l.must(err == nil && a.Timezone != "", "alerts.timezone", "an IANA name such as Asia/Shanghai, or Local, is expected")
	for _, name := range slices.Sorted(maps.Keys(a.Channels)) {
		ch, key := a.Channels[name], "alerts.channels."+name
		l.oneOf(key+".kind", ch.Kind, ChannelWeCom, ChannelWebhook, ChannelLog)
		l.must(ch.URL == "" || isWebURL(ch.URL.Reveal()), key+".url", "an http or https URL is expected, or nothing to leave the channel off")
		l.must(ch.Kind != ChannelWebhook || ch.URL == "" || len(ch.Secret) >= minHookSecret, key+".secret",
			"16 bytes or more are expected when url is set: what a webhook gets is signed with it")
		for _, s := range ch.Severities {
			l.oneOf(key+".severities", s, "info", "warning", "critical")
		}
	}
}

func (l *loader) timeOfDay(key, s string) {
	_, err := time.Parse("15:04", s)
	l.must(err == nil && len(s) == len("15:04"), key, "a time of day is expected, 00:00 to 23:59")
}

// minHookSecret is the least that cannot be guessed.
const minHookSecret = 16
