package release_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/node"
	"gatehouse/storage/release"
)

// nasty are versions at the edges of what node-semver takes.
var nasty = []string{
	"", "1", "1.2", "1.2.3", "v1.2.3", "V1.2.3", "vv1.2.3", "=1.2.3", "v 1.2.3", " 1.2.3\t", "\u00a01.2.3\ufeff", "\u30001.2.3\u2028", "\u00851.2.3", "\u180e1.2.3", "\u200b1.2.3",
	"1.2.3\x00", "01.2.3", "1.02.3", "1.2.03", "1.2.3.4", "1.2.3-", "1.2.3+", "1.2.3-+", "1.2.3-a..b", "1.2.3-.a", "1.2.3-a.", "1.2.3+a..b", "-1.2.3", "1.-2.3", "1.2.3 -a",
	"1.2.3-0", "1.2.3-00", "1.2.3-01", "1.2.3-0a", "1.2.3-01a", "1.2.3-0.0", "1.2.3--", "1.2.3---", "1.2.3--1", "1.2.3-1-", "1.2.3-a-", "1.2.3-A", "1.2.3-a", "1.2.3-Z", "1.2.3-_",
	"1.2.3-alpha", "1.2.3-alpha.1", "1.2.3-alpha.2", "1.2.3-alpha.10", "1.2.3-alpha.beta", "1.2.3-beta", "1.2.3-beta.2", "1.2.3-beta.11", "1.2.3-rc.1", "1.2.3-1e3", "1.2.3-1000", "1.2.3-0x10",
	"1.2.3+build", "1.2.3+build.1", "1.2.3-a+b", "1.2.3-a+b.01", "1.2.3+001", "1.2.3+-", "1.2.3+a+b", "1.2.3-a+b-c", "1.2.3-ä", "١.٢.٣", "1.2.3-１", "1.2.3-é", "😀", "1.2.3-😀",
	"9007199254740990.0.0", "9007199254740991.0.0", "9007199254740992.0.0", "0.9007199254740991.0", "0.0.9007199254740992", "99999999999999999999.0.0", "0.0.0", "0.0.0-0", "0.0.1-0",
	"1.2.3-9007199254740990", "1.2.3-9007199254740991", "1.2.3-9007199254740992", "1.2.3-9007199254740993", "1.2.3-9007199254740994", "1.2.3-18446744073709551616", "1.2.3-18446744073709551617",
	"1.2.3-9007199254740993.1", "1.2.3-9007199254740992.2", "1.2.3-" + strings.Repeat("9", 200), "1.2.3-1" + strings.Repeat("0", 199), "1.2.3-" + strings.Repeat("9", 249), "1.2.3-" + strings.Repeat("8", 250),
	"1.2.3-" + strings.Repeat("9", 251), "1.2.3-" + strings.Repeat("a", 250), "1.2.3-" + strings.Repeat("a", 251), "1.2.3+" + strings.Repeat("a", 250), "1.2.3+" + strings.Repeat("a", 251), "v1.2.3+" + strings.Repeat("a", 249),
	strings.Repeat(" ", 251) + "1.2.3", strings.Repeat(" ", 252) + "1.2.3", strings.Repeat("\u3000", 251) + "1.2.3", "1.2.3" + strings.Repeat("😀", 126), "1.2.3-" + strings.Repeat("1.", 124) + "1",
	"null", "latest", "x", "*", "^1.2.3", "1.x", ">=1.2.3", "1.2.3 || 2.0.0", "1.2.3\n", "1.2.3\r\n4.5.6", "1.2.3-\n", "1,2,3", "1.2.3-a,b", "2024.3.9", "10.0.0", "9.0.0", "1.10.0", "1.9.0",
}

// pieces are what random versions are made of.
var pieces = []string{
	"0", "1", "2", "9", "10", "01", "007", "a", "b", "A", "-", "--", ".", ".", ".", "+", "-", "v", " ", "alpha", "beta", "rc", "1.0.0", "1.2.3-", "0.0.0+", "9007199254740991", "9007199254740993", "1e9", "x1", "1x", "ß",
}

func someVersions(n int) []string {
	r := rand.New(rand.NewPCG(6, 8)) // always the same ones
	out := append([]string{}, nasty...)
	for len(out) < n {
		var b strings.Builder
		if r.IntN(4) > 0 {
			b.WriteString([]string{"1.0.0", "1.2.3", "1.2.3-", "1.2.3-rc.", "2.0.0+"}[r.IntN(5)])
		}
		for range r.IntN(6) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		out = append(out, b.String())
	}
	return out
}

// TestVersionsAreJudgedAsNodeSemverJudgesThem compares with the package that update clients have inside.
func TestVersionsAreJudgedAsNodeSemverJudgesThem(t *testing.T) {
	versions := someVersions(3000)
	var says struct {
		Parsed []*struct{ Version, Full string }
		Order  []string
	}
	node.Run(t, "semver.mjs", map[string]any{"versions": versions}, &says)
	require.Len(t, says.Parsed, len(versions))
	var valid []release.Version
	for i, s := range versions {
		v, ok := release.ParseVersion(s)
		require.Equal(t, says.Parsed[i] != nil, ok, "%q", s)
		if ok {
			require.Equal(t, *says.Parsed[i], struct{ Version, Full string }{v.String(), v.Full()}, "%q", s)
			valid = append(valid, v)
		}
	}
	require.Greater(t, len(valid), 500)
	require.Less(t, len(valid), len(versions)-500)
	for i, a := range valid {
		for j, b := range valid {
			if got := "<=>"[a.Compare(b)+1]; got != says.Order[i][j] {
				t.Fatalf("%q %c %q here, and %c to node-semver", a.Full(), got, b.Full(), says.Order[i][j])
			}
		}
	}
	t.Logf("%d versions, %d of them valid, %d comparisons", len(versions), len(valid), len(valid)*len(valid))
}
