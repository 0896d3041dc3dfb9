package httpapi

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"

	"gatehouse/storage"
)

// sentence writes the error for people.
func (a answer) sentence(e *storage.Error, l storage.Locale) string {
	template, reason := a.english, ""
	if l == storage.LocaleChinese {
		template = a.chinese
	}
	if e.Reason != nil {
		reason = e.Reason.In(l)
	}
	if a.alone && reason != "" {
		return reason
	}
	var out strings.Builder
	for template != "" {
		plain, rest, optional := strings.Cut(template, "[")
		text, _ := fill(plain, e.Details, reason)
		out.WriteString(text)
		if !optional {
			break
		}
		inner, after, _ := strings.Cut(rest, "]")
		if text, whole := fill(inner, e.Details, reason); whole {
			out.WriteString(text)
		}
		template = after
	}
	return out.String()
}

// fill replaces the placeholders; whole is false when a detail was missing.
func fill(s string, d storage.Details, reason string) (text string, whole bool) {
	var out strings.Builder
	whole = true
	for {
		before, rest, found := strings.Cut(s, "{")
		out.WriteString(before)
		if !found {
			return out.String(), whole
		}
		name, after, _ := strings.Cut(rest, "}")
		key, unit, _ := strings.Cut(name, ":")
		value, ok := d[key]
		ok = ok && counts(d, unit)
		if key == "reason" {
			value, ok = reason, reason != ""
		}
		if v, isText := value.(string); isText && v == "" {
			ok = false
		}
		whole = whole && ok
		if ok {
			out.WriteString(show(value, unit == unitBytes))
		}
		s = after
	}
}

// The units of placeholders: {used:bytes}, {used:files}.
const (
	unitBytes = "bytes"
	unitFiles = "files"
)

// counts reports whether the numbers of a refusal are of a placeholder's unit: details.limit says so when they are not
// bytes.
func counts(d storage.Details, unit string) bool {
	switch unit {
	case unitFiles:
		return d["limit"] == unitFiles
	case unitBytes:
		return d["limit"] != unitFiles
	}
	return true
}

func show(v any, asBytes bool) string {
	if asBytes {
		switch n := v.(type) {
		case int64:
			return bytesFor(n)
		case int:
			return bytesFor(int64(n))
		}
	}
	if list, ok := v.([]string); ok {
		return strings.Join(list, ", ")
	}
	return fmt.Sprint(v)
}

// bytesFor is exact when a round number of units is: a limit of 5 MiB must not read as "5.0 MiB", nor one byte
// more than it as "5 MiB".
func bytesFor(n int64) string {
	if n < 0 {
		return fmt.Sprintf("%d B", n)
	}
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for i := len(units) - 1; i > 0; i-- {
		if unit := int64(1) << (10 * i); n >= unit && n%unit == 0 {
			return fmt.Sprintf("%d %s", n/unit, units[i])
		}
	}
	if n < 1<<20 {
		return humanize.Comma(n) + " B"
	}
	return fmt.Sprintf("%s (%s B)", humanize.IBytes(uint64(n)), humanize.Comma(n))
}
