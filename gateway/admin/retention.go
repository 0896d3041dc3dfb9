package admin

import (
	"fmt"
	"math"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// overdue counts, with count, the files that are older than a retention of so many days keeps them: a worker deletes them
// within the hour. It refuses the change when there are some, unless that is what is meant.
func (a Admin) overdue(days int64, count func(made meta.Stamp) (int64, error)) (int64, error) {
	if days == math.MaxInt64 { // nothing is kept shorter than before
		return 0, nil
	}
	n, err := count(meta.Now().Add(-time.Duration(days) * 24 * time.Hour))
	if err != nil {
		return 0, fmt.Errorf("count files by age: %w", err)
	}
	if n > 0 && !a.DeleteOlder {
		return 0, refuse(storage.CodeConflict, "retention_deletes",
			fmt.Sprintf("That would delete %d files within the hour: they are older than retention_days=%d. Nothing has changed. If they shall go, say so with --delete-older.", n, days),
			fmt.Sprintf("此更改将在一小时内删除 %d 个早于 retention_days=%d 的文件。未作任何更改。如确需删除，请使用 --delete-older。", n, days))
	}
	return n, nil
}
