package alerts

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// plural writes a number with what it counts: 1 file, 2 files.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// isAre puts the verb behind whose things are counted: 1 file of x is, 2 files of x are.
func isAre(whose string, n int64, one, many string) string {
	if n == 1 {
		return whose + " " + one
	}
	return whose + " " + many
}

// at writes a time: all messages have the same format, in UTC.
func at(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// addNames adds the names of tenants that are not known yet.
func addNames(ctx context.Context, look *Look, names map[string]string, tenants []string) error {
	more, err := look.DB.TenantNames(ctx, tenants)
	for id, name := range more {
		names[id] = name
	}
	return err
}

// tenantName is what people call a tenant, and its id; one that is gone has only that.
func tenantName(names map[string]string, id string) string {
	if n := names[id]; n != "" {
		return fmt.Sprintf("tenant %q (%s)", n, id)
	}
	return "tenant " + id
}

// sentence makes an error a part of a sentence that goes on or ends by itself.
func sentence(problem string, most int) string {
	return clip(strings.TrimRight(strings.TrimSpace(problem), "."), most)
}

// quoted makes a path one word of a shell.
func quoted(path string) string {
	if strings.ContainsFunc(path, func(r rune) bool {
		return !strings.ContainsRune("/._-", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}
