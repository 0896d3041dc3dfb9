package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/snapshot"
)

// Overview is how the platform stands. Sizes are bytes.
type Overview struct {
	At      time.Time       `json:"at"`
	Tenants OverviewTenants `json:"tenants"`
	Storage OverviewStorage `json:"storage"`
	// CountedAt is when the audit log was last counted into Last24h and Last30d; records of the last minutes come later.
	CountedAt *time.Time       `json:"counted_at"`
	Last24h   OverviewPeriod   `json:"last_24h"`
	Last30d   OverviewPeriod   `json:"last_30d"`
	Lanes     []OverviewLane   `json:"lanes"`
	Scanner   *OverviewScanner `json:"scanner"`
	// Programs that work on the database now, as <program>.<host>/<process id>-<number>.
	Programs  []string          `json:"programs"`
	Disks     []OverviewDisk    `json:"disks"`
	Alerts    map[string]int64  `json:"open_alerts"`
	Reconcile OverviewReconcile `json:"reconcile"`
	Snapshot  *snapshot.Last    `json:"last_snapshot"`
}

// OverviewTenants counts tenants.
type OverviewTenants struct {
	Total   int64                         `json:"total"`
	ByState map[storage.TenantState]int64 `json:"by_state"`
}

// OverviewStorage is what all tenants have and may have.
type OverviewStorage struct {
	UsedBytes     int64 `json:"used_bytes"`
	ReservedBytes int64 `json:"reserved_bytes"`
	Files         int64 `json:"files"`
	// PromisedBytes is the sum of the quotas of tenants that are active or suspended; those without a limit are in Unlimited,
	// those whose plan has no record in NoQuota.
	PromisedBytes int64 `json:"promised_bytes"`
	Unlimited     int64 `json:"unlimited_tenants"`
	NoQuota       int64 `json:"tenants_without_quota"`
	// Overcommit is how many times what the store's disk holds is promised; null where no program tells of such a disk.
	Overcommit *float64 `json:"overcommit"`
}

// OverviewPeriod is what happened since.
type OverviewPeriod struct {
	Since      time.Time                    `json:"since"`
	Uploads    int64                        `json:"uploads"`
	Duplicates int64                        `json:"duplicates"`
	Bytes      int64                        `json:"upload_bytes"`
	Deletes    int64                        `json:"deletes"`
	Refusals   map[string]int64             `json:"refusals"`
	Verdicts   map[storage.ScanStatus]int64 `json:"verdicts"`
}

// OverviewLane is a queue of tasks.
type OverviewLane struct {
	Lane    storage.Lane `json:"lane"`
	Queued  int64        `json:"queued"`
	Running int64        `json:"running"`
	Dead    int64        `json:"dead"`
	// OldestSeconds is how long the oldest queued task has been due.
	OldestSeconds int64 `json:"oldest_seconds"`
}

// OverviewScanner is what a worker last saw of the scanner.
type OverviewScanner struct {
	Ready bool `json:"ready"`
	// Silent: no worker has looked lately.
	Silent         bool      `json:"silent"`
	Problem        string    `json:"problem"`
	Engine         string    `json:"engine"`
	Database       string    `json:"database"`
	TestSignatures bool      `json:"test_signatures"`
	CheckedAt      time.Time `json:"checked_at"`
}

// OverviewDisk is a file system that a program uses.
type OverviewDisk struct {
	Program string    `json:"program"`
	Host    string    `json:"host"`
	Uses    []string  `json:"uses"`
	Path    string    `json:"path"`
	Total   int64     `json:"total_bytes"`
	Used    int64     `json:"used_bytes"`
	Free    int64     `json:"free_bytes"`
	At      time.Time `json:"at"`
}

// OverviewReconcile has the runs that ended last; null before the first.
type OverviewReconcile struct {
	Full  *OverviewRun `json:"full"`
	Light *OverviewRun `json:"light"`
}

// OverviewRun is a comparison of records and store.
type OverviewRun struct {
	ID         string     `json:"id"`
	State      string     `json:"state"`
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at"`
	Findings   int64      `json:"findings"`
	Repaired   int64      `json:"repaired"`
	Failed     int64      `json:"failed"`
}

// diskWords is how old the words of a program about its disks may be: it tells them every few minutes.
const diskWords = 15 * time.Minute

// Overview reads how the platform stands, from counters and short tables.
func (a Admin) Overview(ctx context.Context) (Overview, error) {
	now := meta.Now()
	o := Overview{At: now.Time()}
	for _, part := range []struct {
		what string
		read func(context.Context, *Overview, meta.Stamp) error
	}{
		{"disks", a.overviewDisks}, {"tenants", a.overviewTenants}, {"counters", a.overviewCounters}, {"tasks", a.overviewLanes}, {"scanner", a.overviewScanner},
		{"programs", a.overviewPrograms}, {"alerts", a.overviewAlerts}, {"last runs", a.overviewRuns},
	} {
		if err := part.read(ctx, &o, now); err != nil {
			return Overview{}, fmt.Errorf("read %s: %w", part.what, err)
		}
	}
	return o, nil
}

func (a Admin) overviewTenants(ctx context.Context, o *Overview, _ meta.Stamp) error {
	sums, err := a.DB.SumTenants(ctx, quota.Unlimited)
	if err != nil {
		return err
	}
	o.Tenants.ByState = map[storage.TenantState]int64{}
	promised := 0.0
	for _, s := range sums {
		o.Tenants.ByState[s.State] = s.Tenants
		o.Tenants.Total += s.Tenants
		o.Storage.UsedBytes += s.Used
		o.Storage.ReservedBytes += s.Reserved
		o.Storage.Files += s.Files
		if s.State.Served() {
			promised += s.Promised
			o.Storage.Unlimited += s.Unlimited
			o.Storage.NoQuota += s.NoQuota
		}
	}
	// Above that JSON is not exact, and nobody has such a store.
	o.Storage.PromisedBytes = int64(min(promised, float64(quota.Unlimited)))
	var store int64
	for _, d := range o.Disks {
		for _, use := range d.Uses {
			if use == "store" {
				store = max(store, d.Total)
			}
		}
	}
	if store > 0 {
		times := promised / float64(store)
		o.Storage.Overcommit = &times
	}
	return nil
}

func (a Admin) overviewCounters(ctx context.Context, o *Overview, now meta.Stamp) error {
	// The hour that runs is one of them.
	day, month := now.Hour()-23, now.Hour()-30*24+1
	stats, err := a.DB.Stats(ctx, month, day)
	if err != nil {
		return err
	}
	o.Last24h, o.Last30d = periodSince(day), periodSince(month)
	for _, s := range stats {
		o.Last24h.add(s, s.Recent)
		o.Last30d.add(s, s.Total)
	}
	at, err := a.DB.RolledUp(ctx)
	o.CountedAt = at.TimeIfSet()
	return err
}

func periodSince(hour int64) OverviewPeriod {
	return OverviewPeriod{Since: meta.HourStart(hour).Time(), Refusals: map[string]int64{}, Verdicts: map[storage.ScanStatus]int64{}}
}

func (p *OverviewPeriod) add(s meta.Stat, n int64) {
	if n == 0 {
		return
	}
	switch s.Metric {
	case meta.StatUploads:
		p.Uploads += n
		if s.Label == "duplicate" {
			p.Duplicates += n
		}
	case meta.StatBytes:
		p.Bytes += n
	case meta.StatRefusals:
		p.Refusals[s.Label] = n
	case meta.StatVerdicts:
		p.Verdicts[storage.ScanStatus(s.Label)] = n
	case meta.StatDeletes:
		p.Deletes += n
	}
}

func (a Admin) overviewLanes(ctx context.Context, o *Overview, now meta.Stamp) error {
	depths, err := a.DB.Depths(ctx)
	if err != nil {
		return err
	}
	for _, lane := range storage.Lanes {
		l := OverviewLane{Lane: lane}
		for _, d := range depths {
			switch {
			case d.Lane != lane:
			case d.State == storage.TaskQueued:
				l.Queued, l.OldestSeconds = d.Count, max(0, int64(now.Time().Sub(d.Oldest.Time()).Seconds()))
			case d.State == storage.TaskRunning:
				l.Running = d.Count
			case d.State == storage.TaskDead:
				l.Dead = d.Count
			}
		}
		o.Lanes = append(o.Lanes, l)
	}
	return nil
}

func (a Admin) overviewScanner(ctx context.Context, o *Overview, now meta.Stamp) error {
	f, err := a.DB.Scanner(ctx)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	o.Scanner = &OverviewScanner{
		Ready: f.Ready, Silent: f.Silent(now.Time()), Problem: f.Problem, Engine: f.Engine, Database: f.Database,
		TestSignatures: f.TestSignatures, CheckedAt: f.CheckedAt.Time(),
	}
	return err
}

func (a Admin) overviewPrograms(ctx context.Context, o *Overview, _ meta.Stamp) error {
	list, err := a.DB.Alive(ctx)
	o.Programs = append([]string{}, list...)
	return err
}

func (a Admin) overviewDisks(ctx context.Context, o *Overview, now meta.Stamp) error {
	list, err := a.DB.Disks(ctx, now.Add(-diskWords))
	o.Disks = []OverviewDisk{}
	for _, f := range list {
		for _, d := range f.Disks {
			o.Disks = append(o.Disks, OverviewDisk{f.Program, f.Host, d.Uses, d.Path, d.Total, d.Used, d.Free, f.At.Time()})
		}
	}
	return err
}

func (a Admin) overviewAlerts(ctx context.Context, o *Overview, _ meta.Stamp) error {
	list, err := a.DB.CountOpenAlerts(ctx)
	o.Alerts = map[string]int64{}
	for _, c := range list {
		o.Alerts[c.Severity] += c.Count
	}
	return err
}

func (a Admin) overviewRuns(ctx context.Context, o *Overview, _ meta.Stamp) error {
	for kind, run := range map[string]**OverviewRun{meta.RunFull: &o.Reconcile.Full, meta.RunLight: &o.Reconcile.Light} {
		switch r, err := a.DB.LastRun(ctx, kind); {
		case err == nil:
			*run = &OverviewRun{
				ID: r.ID, State: r.State, StartedAt: r.StartedAt.Time(), FinishedAt: r.FinishedAt.TimeIfSet(), Findings: r.Findings,
				Repaired: r.Repaired, Failed: r.Failed,
			}
		case !errors.Is(err, storage.ErrNotFound):
			return err
		}
	}
	switch last, err := snapshot.LastTaken(ctx, a.DB); {
	case err == nil:
		o.Snapshot = &last
	case !errors.Is(err, storage.ErrNotFound):
		return err
	}
	return nil
}
