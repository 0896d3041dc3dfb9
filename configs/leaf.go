package configs

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Bytes is a size. It is written as an integer or with a unit: 5MB (5,000,000), 100 MiB (104,857,600).
type Bytes int64

// Secret is a value that is never shown: every way of printing it gives three stars.
type Secret string

const mask = "***"

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String masks the secret; an empty one stays visibly empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString masks the secret under %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText masks the secret in JSON and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue masks the secret in logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// byteUnits are the units that are not ambiguous; a bare M is refused because people read it both ways.
var byteUnits = map[string]int64{
	"": 1, "B": 1,
	"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40,
}

// ParseBytes reads a size as people write it; see Bytes.
func ParseBytes(s string) (Bytes, error) {
	errShape := errors.New("a size in bytes is expected: 1048576, 5MB or 100 MiB")
	digits := strings.TrimRight(s, "BKMGTIbkmgti ")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, errShape
	}
	unit, ok := byteUnits[strings.ToUpper(strings.TrimSpace(s[len(digits):]))]
	if !ok {
		return 0, errShape
	}
	if n > math.MaxInt64/unit || n < math.MinInt64/unit {
		return 0, errors.New("a size below 8 EiB is expected")
	}
	return Bytes(n * unit), nil
}

// String writes the size with the largest binary unit that divides it, so that it reads back as the same number.
func (b Bytes) String() string {
	for _, u := range []struct {
		name string
		size Bytes
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if b != 0 && b%u.size == 0 {
			return fmt.Sprintf("%d %s", int64(b/u.size), u.name)
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// Share is a part of a whole in hundredths of a percent. It is written as a percentage: 1%, 0.25%.
type Share int64

// Of is the share as a fraction of one.
func (s Share) Of() float64 { return float64(s) / 10_000 }

// String writes the percentage.
func (s Share) String() string { return strconv.FormatFloat(float64(s)/100, 'f', -1, 64) + "%" }

func parseShare(s string) (Share, error) {
	n, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(s, "%")), 64)
	if !strings.HasSuffix(s, "%") || err != nil || !(math.Abs(n) <= 1e6) {
		return 0, errors.New("a percentage is expected: 1% or 0.25%")
	}
	return Share(math.Round(n * 100)), nil
}

// ParseDuration reads a duration as the configuration writes it.
func ParseDuration(s string) (time.Duration, error) { return parseDuration(s) }

// parseDuration knows Go's form and days in front of it: 90s, 1h30m, 30d, 1d12h.
func parseDuration(s string) (time.Duration, error) {
	errShape := errors.New("a duration is expected: 500ms, 90s, 1h30m or 30d")
	days, rest, found := strings.Cut(s, "d")
	if !found {
		days, rest = "0", s
	}
	n, err := strconv.ParseInt(days, 10, 64)
	if err != nil || n > 100_000 || n < -100_000 {
		return 0, errShape
	}
	d := time.Duration(n) * 24 * time.Hour
	if rest == "" && found {
		return d, nil
	}
	r, err := time.ParseDuration(rest)
	if err != nil || found && (r < 0 || n < 0) {
		return 0, errShape
	}
	return d + r, nil
}

func formatDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d != 0 && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return false, errors.New("true or false is expected")
}

func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, errors.New("an address or CIDR is expected: 10.0.0.0/8, 192.0.2.7 or fd00::/8")
	}
	return p.Masked(), nil
}

// parseImagePreset reads the form that presets have in the environment.
func parseImagePreset(s string) (ImagePreset, error) {
	name, edge, format, err := cutPreset(s, FormatWebP)
	return ImagePreset{Name: name, LongEdge: edge, Format: format}, err
}

// String writes the form that presets have in the environment; quality and effort have no place there.
func (p ImagePreset) String() string { return joinPreset(p.Name, p.LongEdge, p.Format, FormatWebP) }

func parseVideoPreset(s string) (VideoPreset, error) {
	name, edge, codec, err := cutPreset(s, CodecH264)
	return VideoPreset{Name: name, LongEdge: edge, Codec: codec}, err
}

// String writes the form that presets have in the environment.
func (p VideoPreset) String() string { return joinPreset(p.Name, p.LongEdge, p.Codec, CodecH264) }

func joinPreset(name string, edge int, kind, usual string) string {
	s := name + "=" + strconv.Itoa(edge)
	if kind != "" && kind != usual {
		s += "/" + kind
	}
	return s
}

// cutPreset takes name=long_edge/kind apart; the kind may be left out.
func cutPreset(s, usual string) (name string, edge int, kind string, err error) {
	name, rest, ok := strings.Cut(s, "=")
	size, kind, _ := strings.Cut(rest, "/")
	edge, aerr := strconv.Atoi(strings.TrimSpace(size))
	if !ok || aerr != nil {
		return "", 0, "", errors.New("a preset is expected as name=long_edge or name=long_edge/kind: small=640, or small=640/" + usual)
	}
	return strings.TrimSpace(name), edge, cmp.Or(strings.TrimSpace(kind), usual), nil
}
