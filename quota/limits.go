package quota

import (
	"fmt"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// Limits is what a plan asks of one more upload, beside the bytes. Zero means no limit.
type Limits struct {
	// MaxFiles bounds the assets that are not deleted, those on their way included.
	MaxFiles int64
	// UploadsPerMinute bounds the uploads that begin in a minute of the database's clock.
	UploadsPerMinute int64
	// Concurrent bounds the uploads on their way.
	Concurrent int64
	// NoRoom: this upload needs no room, and cannot settle. It made its asset before and only lost the answer, or it mends
	// bytes that are counted already.
	NoRoom bool
}

// skew is how many minutes the database's clock may step back before a window that lies ahead of it is dropped.
// Until then that window goes on counting: a small correction of the clock lets nobody begin twice as much.
const skew = 5

// concurrentRetry is how many seconds an upload over the concurrency should wait: nobody knows when one ends, most
// take less.
const concurrentRetry = 2

// minuteOf is the SQL of the minute since the Unix epoch.
func minuteOf(d meta.Dialect) string {
	if d == meta.MySQL {
		return d.Epoch() + " DIV 60"
	}
	return d.Epoch() + " / 60"
}

// inWindow is whether the window in the row is the one of the minute.
func inWindow(minute string) string {
	return fmt.Sprintf("rate_minute BETWEEN %s AND %s + %d", minute, minute, skew)
}

// countUpload is the SET of a reservation; its parameters are the bytes and the time. MySQL evaluates from left to
// right and sees what it has assigned: the count comes before the minute.
func countUpload(minute string) string {
	return fmt.Sprintf(`rate_count = CASE WHEN %[1]s THEN rate_count + 1 ELSE 1 END,
		rate_minute = CASE WHEN %[1]s THEN rate_minute ELSE %[2]s END,
		reserved_bytes = reserved_bytes + ?, reserved_files = reserved_files + 1, updated_at = ?`, inWindow(minute), minute)
}

// enoughBytes is the condition on the bytes; its parameter is how many more.
const enoughBytes = `used_bytes + reserved_bytes + ? <=
	COALESCE(quota_override, (SELECT storage_bytes FROM plans WHERE plans.name = tenants.plan))`

// room is the condition under which the row of a tenant takes one more upload.
func (l Limits) room(minute string, bytes int64) (where string, args []any) {
	where, args = "state = ?", []any{storage.TenantActive}
	and := func(condition string, limit int64) {
		where += " AND " + condition
		args = append(args, limit)
	}
	if !l.NoRoom {
		and(enoughBytes, bytes)
	}
	if !l.NoRoom && l.MaxFiles > 0 {
		and("used_files + reserved_files + 1 <= ?", l.MaxFiles)
	}
	if l.Concurrent > 0 {
		and("reserved_files + 1 <= ?", l.Concurrent)
	}
	if l.UploadsPerMinute > 0 {
		and("CASE WHEN "+inWindow(minute)+" THEN rate_count ELSE 0 END + 1 <= ?", l.UploadsPerMinute)
	}
	return where, args
}

// The reasons of the codes that have more than one.
var (
	reasonBytes = storage.Reason{Slug: "quota_bytes",
		English: "Delete files that are no longer needed (their bytes become free after a delay), or get a plan with more storage.",
		Chinese: "请删除不再需要的文件（其空间会在一段延迟后释放），或升级到存储空间更大的套餐。"}
	reasonFiles = storage.Reason{Slug: "quota_files",
		English: "The plan's number of files is reached. Delete files that are no longer needed, or get a plan with more files.",
		Chinese: "文件数量已达到套餐上限。请删除不再需要的文件，或升级到文件数量更多的套餐。"}
	reasonConcurrent = storage.Reason{Slug: "uploads_concurrent",
		English: "As many uploads as the plan allows at once are running. Wait until one of them has ended.",
		Chinese: "同时进行的上传数已达到套餐上限。请等待其中一个上传结束后再试。"}
	reasonRate = storage.Reason{Slug: "uploads_per_minute",
		English: "As many uploads as the plan allows in one minute have begun. Go on in the next minute.",
		Chinese: "本分钟内开始的上传数已达到套餐上限。请在下一分钟继续。"}
)

// Refuse says what the row of a tenant lacks for one more upload of so many bytes, with the numbers; nil when it lacks
// nothing. What only a deletion or another plan changes is named before what time brings.
func (l Limits) Refuse(q meta.Quota, bytes int64) error {
	minute := q.At / 60
	counted := q.RateMinute >= minute && q.RateMinute <= minute+skew
	switch {
	case q.State != storage.TenantActive:
		return storage.Refuse(storage.CodeTenantSuspended, nil)
	case !l.NoRoom && l.MaxFiles > 0 && q.UsedFiles+q.ReservedFiles >= l.MaxFiles:
		return storage.Refuse(storage.CodeQuotaExceeded, storage.Details{
			"limit": "files", "quota": l.MaxFiles, "used": q.UsedFiles, "reserved": q.ReservedFiles, "needed": int64(1),
		}).Because(reasonFiles)
	case !l.NoRoom && q.Used+q.Reserved+bytes > q.Quota:
		return tooFewBytes(q, bytes)
	case l.Concurrent > 0 && q.ReservedFiles >= l.Concurrent:
		return storage.Refuse(storage.CodeRateLimited, storage.Details{
			"limit": l.Concurrent, "concurrent": q.ReservedFiles, "retry_after": int64(concurrentRetry),
		}).Because(reasonConcurrent)
	case l.UploadsPerMinute > 0 && counted && q.RateCount >= l.UploadsPerMinute:
		return storage.Refuse(storage.CodeRateLimited, storage.Details{
			"limit": l.UploadsPerMinute, "window": "minute", "retry_after": max(1, (q.RateMinute+1)*60-q.At),
		}).Because(reasonRate)
	}
	return nil
}

func tooFewBytes(q meta.Quota, bytes int64) error {
	return storage.Refuse(storage.CodeQuotaExceeded, storage.Details{
		"limit": "bytes", "quota": q.Quota, "used": q.Used, "reserved": q.Reserved, "needed": bytes,
	}).Because(reasonBytes)
}
