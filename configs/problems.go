package configs

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with the configuration.
type Problem struct {
	// Key is the full name: a path like http.addr, or a variable's name when it belongs to no key.
	Key string
	// Value is what was found, masked when it is a secret; empty when there is none to show.
	Value string
	// Origin says where it was found; empty for a default.
	Origin string
	// Allowed says what would be right.
	Allowed string
}

func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Key)
	if p.Value != "" {
		fmt.Fprintf(&b, " = %q", p.Value)
	}
	if p.Origin != "" {
		fmt.Fprintf(&b, " (%s)", p.Origin)
	}
	return b.String() + ": " + p.Allowed
}

// Problems is the error of Load when the configuration cannot be used: everything that is wrong, at once.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = "  " + p.String()
	}
	return fmt.Sprintf("configuration: %d problem(s)\n%s", len(ps), strings.Join(lines, "\n"))
}

// nearest returns the candidate closest to s, when it is close enough to be what was meant.
func nearest(s string, candidates []string) (string, bool) {
	best, at := len(s)/3+1, ""
	for _, c := range candidates {
		if d := distance(s, c); d < best {
			best, at = d, c
		}
	}
	return at, at != ""
}

// distance is Levenshtein's: how many letters to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func didYouMean(s string, candidates []string) string {
	if at, ok := nearest(s, candidates); ok {
		return "; did you mean " + at + "?"
	}
	return ""
}
