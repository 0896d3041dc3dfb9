package audit

import (
	"context"
	"time"

	"gatehouse/storage/meta"
)

// Settles is how long the log may go on growing behind its end: a record gets its number when it is written and is
// seen when its transaction commits, so a lower number may appear after a higher one, and the clocks of the programs
// that stamp records differ. Transactions last seconds; five minutes also cover clocks that are badly set.
const Settles = 5 * time.Minute

// Settled is the number of the last record up to which nothing can appear any more; 0 for a young log. A reader that must
// miss none keeps it as its cursor and reads everything behind it each time: it sees the newest records more than once, and
// never misses one.
func Settled(ctx context.Context, db *meta.DB, now meta.Stamp) (int64, error) {
	return db.LastAuditBefore(ctx, now.Add(-Settles))
}
