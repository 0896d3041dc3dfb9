package release

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Version is a semantic version as node-semver parses and compares them (strict mode), since that is what update clients do.
// It differs from other readings of SemVer 2.0.0: a leading v and white space around it are allowed, numbers end at 2^53-1, and longer
// numbers in a prerelease compare as the floating-point numbers that JavaScript makes of them. golang.org/x/mod/semver and
// Masterminds/semver know none of these, and a server that orders versions otherwise than its clients serves updates in circles.
type Version struct {
	major, minor, patch uint64
	prerelease          []string
	build               string
}

const (
	// maxVersion is node-semver's MAX_LENGTH, in UTF-16 units as JavaScript counts, before white space is taken away.
	maxVersion = 256
	// maxSafe is JavaScript's Number.MAX_SAFE_INTEGER.
	maxSafe = 1<<53 - 1
	// jsSpace is what String.prototype.trim takes away (ECMA-262, WhiteSpace and LineTerminator).
	jsSpace = "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
)

var versionForm = regexp.MustCompile(`^v?(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)` +
	`(?:-((?:[0-9]*[a-zA-Z-][a-zA-Z0-9-]*|0|[1-9][0-9]*)(?:\.(?:[0-9]*[a-zA-Z-][a-zA-Z0-9-]*|0|[1-9][0-9]*))*))?` +
	`(?:\+([a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*))?$`)

// ParseVersion reads a version; false when node-semver would not.
func ParseVersion(s string) (Version, bool) {
	if len(s) > maxVersion && len(utf16.Encode([]rune(s))) > maxVersion { // bytes are never fewer than units
		return Version{}, false
	}
	if v, ok := plainVersion(s); ok {
		return v, true
	}
	m := versionForm.FindStringSubmatch(strings.Trim(s, jsSpace))
	if m == nil {
		return Version{}, false
	}
	v := Version{build: m[5]}
	for i, to := range []*uint64{&v.major, &v.minor, &v.patch} {
		n, err := strconv.ParseUint(m[i+1], 10, 64)
		if err != nil || n > maxSafe {
			return Version{}, false
		}
		*to = n
	}
	if m[4] != "" {
		v.prerelease = strings.Split(m[4], ".")
	}
	return v, true
}

// plainVersion reads what nearly all versions are, three numbers; every client that asks for updates sends one. False says
// nothing: it may be a version all the same.
func plainVersion(s string) (Version, bool) {
	var v Version
	for i, to := range []*uint64{&v.major, &v.minor, &v.patch} {
		part, rest, more := strings.Cut(s, ".")
		if more != (i < 2) || part == "" || len(part) > 15 || (part[0] == '0' && len(part) > 1) {
			return Version{}, false
		}
		for _, c := range []byte(part) {
			if c < '0' || c > '9' {
				return Version{}, false
			}
			*to = *to*10 + uint64(c-'0') // fifteen digits stay below maxSafe
		}
		s = rest
	}
	return v, true
}

// String is the version without build metadata: what two equal versions have in common.
func (v Version) String() string {
	s := strconv.FormatUint(v.major, 10) + "." + strconv.FormatUint(v.minor, 10) + "." + strconv.FormatUint(v.patch, 10)
	if len(v.prerelease) > 0 {
		s += "-" + strings.Join(v.prerelease, ".")
	}
	return s
}

// Full is the version with its build metadata.
func (v Version) Full() string {
	if v.build == "" {
		return v.String()
	}
	return v.String() + "+" + v.build
}

// Compare is -1, 0 or 1. Build metadata does not count.
func (v Version) Compare(o Version) int {
	if c := cmp.Or(cmp.Compare(v.major, o.major), cmp.Compare(v.minor, o.minor), cmp.Compare(v.patch, o.patch)); c != 0 {
		return c
	}
	switch {
	case len(v.prerelease) == 0 || len(o.prerelease) == 0:
		return cmp.Compare(len(o.prerelease), len(v.prerelease)) // the one without a prerelease is later
	}
	for i := range min(len(v.prerelease), len(o.prerelease)) {
		if a, b := v.prerelease[i], o.prerelease[i]; a != b {
			return compareIdentifiers(a, b) // also when it is 0, as two numbers beyond 2^53 may be
		}
	}
	return cmp.Compare(len(v.prerelease), len(o.prerelease))
}

// compareIdentifiers puts numbers before words.
func compareIdentifiers(a, b string) int {
	an, bn := numeric(a), numeric(b)
	switch {
	case an && bn:
		return cmp.Compare(number(a), number(b))
	case an:
		return -1
	case bn:
		return 1
	}
	return strings.Compare(a, b)
}

func numeric(s string) bool { return strings.Trim(s, "0123456789") == "" }

// number is what JavaScript makes of digits; beyond the largest it is infinite there too.
func number(digits string) float64 {
	f, _ := strconv.ParseFloat(digits, 64) // the only error is the range, and then f is +Inf
	return f
}
