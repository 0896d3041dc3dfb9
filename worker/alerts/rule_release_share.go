package alerts

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"gatehouse/storage/meta"
)

const (
	// shareDrop is by how many points of a hundred a version's share falls that is told: more than a staged rollout takes
	// away in a day.
	shareDrop = 30
	// shareDevices is how many devices a channel and platform has at least: of fewer, each is more than five points, and
	// an office that goes home would be an alert.
	shareDevices = 20
	// shareFindings is how many are told at once, those among the most devices first: who invents versions must not flood
	// whoever reads alerts.
	shareFindings = 50
	// shareHours is how far back the rule looks.
	shareHours = 24
)

// track is what shares are of: a channel and platform, in an hour.
type track struct {
	channel, platform string
	hour              int64
}

// shares are the devices of each version in a track, and of all.
type shares struct {
	versions map[string]int64
	all      int64
}

// of is a version's share in points of a hundred.
func (s shares) of(version string) float64 {
	return 100 * float64(s.versions[version]) / float64(s.all)
}

// releaseShare tells of versions that many devices have left within a day: an update that spreads faster than it was meant to, or
// clients that break. Only channels in which something was published count: a channel is whatever a device says.
func releaseShare(ctx context.Context, look *Look) ([]Finding, error) {
	counted, err := look.DB.ReleasesCounted(ctx)
	if err != nil || counted == 0 {
		return nil, err
	}
	hour := counted.Hour()
	tracks, err := look.DB.PublishedTracks(ctx)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, t := range tracks {
		list, err := look.DB.VersionShares(ctx, hour-shareHours, hour, t)
		if err != nil {
			return nil, err
		}
		byTrack := sharesOf(list)
		k := track{t.Channel, t.Platform, hour}
		if now := byTrack[k]; now.all >= shareDevices {
			out = append(out, drops(k, now, byTrack, counted)...)
		}
	}
	slices.SortFunc(out, func(a, b Finding) int {
		return cmp.Or(-cmp.Compare(a.Facts["devices_of_all"].(int64), b.Facts["devices_of_all"].(int64)), cmp.Compare(a.Subject, b.Subject))
	})
	return out[:min(len(out), shareFindings)], nil
}

func sharesOf(list []meta.VersionShare) map[track]shares {
	byTrack := map[track]shares{}
	for _, v := range list {
		k := track{v.Channel, v.Platform, v.Hour}
		s := byTrack[k]
		if s.versions == nil {
			s.versions = map[string]int64{}
		}
		s.versions[v.Version] = v.Devices
		s.all += v.Devices
		byTrack[k] = s
	}
	return byTrack
}

// drops compares a track with each hour before.
func drops(k track, now shares, byTrack map[track]shares, counted meta.Stamp) []Finding {
	type high struct {
		share float64
		hour  int64
	}
	highest := map[string]high{}
	for h := k.hour - shareHours; h < k.hour; h++ {
		then := byTrack[track{k.channel, k.platform, h}]
		if then.all < shareDevices {
			continue
		}
		for v := range then.versions {
			if s := then.of(v); v != meta.Other && s > highest[v].share {
				highest[v] = high{s, h}
			}
		}
	}
	var out []Finding
	for version, was := range highest {
		is := now.of(version)
		if was.share-is <= shareDrop {
			continue
		}
		grown, growth := grownMost(now, byTrack[track{k.channel, k.platform, was.hour}])
		f := Finding{
			Subject: fmt.Sprintf("%s/%s/%s", k.channel, k.platform, version), Severity: Warning,
			Message: fmt.Sprintf("The share of version %s among the devices of the channel %s on %s fell from %.0f %% to %.0f %% since %s.",
				version, k.channel, k.platform, was.share, is, at(meta.HourStart(was.hour).Time())),
			Facts: map[string]any{
				"channel": k.channel, "platform": k.platform, "version": version, "from_percent": round(was.share), "to_percent": round(is),
				"devices": now.versions[version], "devices_of_all": now.all, "since": meta.HourStart(was.hour).Time(), "counted_at": counted.Time(),
			},
		}
		if grown != "" {
			f.Message += fmt.Sprintf(" Most of it went to version %s, from %.0f %% to %.0f %%.", grown, now.of(grown)-growth, now.of(grown))
			f.Facts["grown_version"], f.Facts["grown_by_percent"] = grown, round(growth)
		}
		f.Message += " If nobody rolls out so fast, look what was published: `gateway audit --action release`."
		out = append(out, f)
	}
	return out
}

// grownMost is the version whose share has grown most since, and by how much; empty when none has.
func grownMost(now, then shares) (version string, growth float64) {
	for v := range now.versions {
		if v == meta.Other {
			continue
		}
		if g := now.of(v) - then.of(v); g > growth || g == growth && growth > 0 && v < version {
			version, growth = v, g
		}
	}
	return version, growth
}

// round keeps one digit.
func round(points float64) float64 { return math.Round(points*10) / 10 }
