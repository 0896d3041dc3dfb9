package audit

import (
	"context"
	"fmt"

	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// Verifier checks the whole log: archives, database, checkpoints here and in the store.
type Verifier struct {
	DB *meta.DB
	// Zone is where checkpoints and archives lie.
	Zone blob.Bucket
	// Public checks signatures. Key, if there is one, also tells the seals that the sealer made from others: without it
	// a chain that was made anew is noticed at the next checkpoint only.
	Public PublicKey
	Key    *Key
	// Progress, if set, is told now and then how many records were checked.
	Progress func(records int64)
}

// readPage is how many links are held at once.
const readPage = 1000

// run is one verification under way.
type run struct {
	Verifier
	walk
	verdict Verdict
	// table and pending are the next checkpoints of the database and of the store.
	table     []Checkpoint
	tableFrom int64
	store     func() (Checkpoint, error, bool)
	stopStore func()
	pending   *Checkpoint
	chain     string // whose checkpoints are being read in the store
	last      int64  // where to stop; 0 is the end
	aliens    []string
	both      oneSided
	bad       *Problem
}

// Verify checks everything from the first record on.
func (r Verifier) Verify(ctx context.Context) (Verdict, error) {
	u := newRun(r)
	defer u.stopStore()
	u.seq, u.hash, u.verdict.FirstSeq = 0, noHash, 1
	err := u.whole(ctx)
	return u.result(err)
}

// VerifyRange checks the records from the last checkpoint at or before place first on, to place last (0: the end), and no
// archives. What is before that checkpoint it says nothing about.
func (r Verifier) VerifyRange(ctx context.Context, first, last int64) (Verdict, error) {
	u := newRun(r)
	defer u.stopStore()
	u.seq, u.hash, u.last = 0, noHash, last
	if first > 1 {
		if err := u.beginAt(ctx, first); err != nil || u.bad != nil {
			return u.result(err)
		}
	}
	u.verdict.FirstSeq, u.verdict.LastSeq, u.verdict.SignedSeq = u.seq+1, u.seq, u.seq
	return u.result(u.whole(ctx))
}

func newRun(r Verifier) *run {
	u := &run{Verifier: r, stopStore: func() {}}
	u.verdict = Verdict{Fingerprint: r.Public.Fingerprint(), Notes: []string{}}
	u.walk = walk{public: r.Public, key: r.Key, v: &u.verdict}
	return u
}

// alien remembers what lies among the checkpoints in the store and is none.
func (u *run) alien(key string) { u.aliens = append(u.aliens, key) }

func (u *run) result(err error) (Verdict, error) {
	if n := len(u.aliens); n > 0 {
		u.verdict.note("In the store are %d objects among the checkpoints that no Gatehouse has put there, %q first.", n, u.aliens[0])
	}
	u.verdict.Problem = u.bad
	u.verdict.Whole = err == nil && u.bad == nil
	if err != nil {
		return u.verdict, fmt.Errorf("verify the audit log: %w", err)
	}
	return u.verdict, nil
}

// beginAt begins behind the last checkpoint before a place whose seal is in the database.
func (u *run) beginAt(ctx context.Context, first int64) error {
	list, err := CheckpointsOf(ctx, u.DB, first, 1)
	if err != nil {
		return err
	}
	archives, err := u.DB.AuditArchives(ctx)
	if err != nil {
		return err
	}
	if n := len(archives); n > 0 { // not behind what has left
		u.seq, u.hash = archives[n-1].LastSeq, archives[n-1].Hash
	}
	if len(list) == 0 || list[0].Seq <= u.seq {
		return nil
	}
	if !list[0].Signed(u.Public) {
		u.bad = problem(ForgedCheckpoint, list[0].Seq, 0, "the checkpoint in the database is not signed with the key %s.", u.Public.Fingerprint())
		return nil
	}
	u.seq, u.hash, u.watermark = list[0].Seq, list[0].Hash, list[0].Watermark
	return nil
}

// whole goes over archives and database to the end.
func (u *run) whole(ctx context.Context) error {
	chains, err := u.DB.AuditChains(ctx)
	if err != nil {
		return err
	}
	u.chains = chains
	if u.seq > 0 { // begun in the middle: the chains of before are not told of
		for len(u.chains) > 1 && u.chains[1].FirstSeq <= u.seq {
			u.chains = u.chains[1:]
		}
	}
	u.tableFrom = u.seq
	if u.bad = u.enter(); u.bad != nil {
		return nil
	}
	for again := true; again; {
		if err := u.archives(ctx); err != nil || u.bad != nil {
			return err
		}
		if again, err = u.database(ctx); err != nil || u.bad != nil {
			return err
		}
	}
	if u.last > 0 && u.seq >= u.last {
		return nil
	}
	return u.behind(ctx, chains)
}
