package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"gatehouse/storage"
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

// behind checks what only the whole log tells: its end, what was put in, and the checkpoints of both places.
func (u *run) behind(ctx context.Context, chains []meta.AuditChain) error {
	if err := u.ends(ctx); err != nil || u.bad != nil {
		return err
	}
	if err := u.inserted(ctx); err != nil || u.bad != nil {
		return err
	}
	if err := u.onOneSide(ctx); err != nil {
		return err
	}
	if u.tooLongUnsigned(); u.bad != nil {
		return nil
	}
	return u.others(ctx, chains)
}

// archives reads those that go on where the walk is.
func (u *run) archives(ctx context.Context) error {
	list, err := u.DB.AuditArchives(ctx)
	if err != nil {
		return err
	}
	for _, a := range list {
		if a.LastSeq <= u.seq {
			continue
		}
		if a.FirstSeq > u.seq+1 {
			return nil // the database must have what is in between
		}
		if err := u.archive(ctx, a); err != nil || u.bad != nil {
			return err
		}
		u.verdict.Archives++
	}
	return nil
}

func (u *run) moreArchives(ctx context.Context) bool {
	list, err := u.DB.AuditArchives(ctx)
	return err == nil && slices.ContainsFunc(list, func(a meta.AuditArchive) bool { return a.FirstSeq <= u.seq+1 && a.LastSeq > u.seq })
}

// links yields what the database has behind a place, as it grows.
func (u *run) links(ctx context.Context, after int64) iter.Seq2[meta.AuditLink, error] {
	return func(yield func(meta.AuditLink, error) bool) {
		for {
			list, err := u.DB.AuditLinks(ctx, after, readPage)
			if err != nil {
				yield(meta.AuditLink{}, err)
				return
			}
			for _, l := range list {
				if !yield(l, nil) {
					return
				}
			}
			if len(list) < readPage {
				return
			}
			after = list[len(list)-1].Seal.Seq
		}
	}
}

// database walks to the end of what the database has. It reports true when rows were gone because they are being archived.
func (u *run) database(ctx context.Context) (archived bool, err error) {
	next, stop := iter.Pull2(u.links(ctx, u.seq))
	defer stop()
	pull := func() (meta.AuditLink, bool, error) {
		l, err, more := next()
		return l, more, err
	}
	l, more, err := pull()
	for more && err == nil && (u.last == 0 || u.seq < u.last) {
		// Not before: the checkpoints of the place before are of the chain before.
		if u.bad = u.enter(); u.bad != nil {
			return false, nil
		}
		if !u.fits(l) {
			if (l.Seal.Seq > u.seq+1 || l.Record.ID == 0) && u.moreArchives(ctx) {
				return true, nil
			}
			u.bad, err = u.diagnose(l, pull)
			return false, err
		}
		var after meta.AuditLink
		after, more, err = pull()
		if err != nil {
			return false, err
		}
		if u.Key != nil && !u.Key.made(l.Seal.Hash, l.Seal.MAC) {
			behind := &after
			if !more {
				behind = nil
			}
			u.bad = u.madeAnew(l, behind)
			return false, nil
		}
		if err := u.passed(ctx, l); err != nil || u.bad != nil {
			return false, err
		}
		l = after
	}
	return false, err
}

// passed goes over a good link.
func (u *run) passed(ctx context.Context, l meta.AuditLink) error {
	if u.bad = u.pass(l); u.bad != nil {
		return nil
	}
	return u.look(ctx)
}

// look checks what is said of the place that was just passed.
func (u *run) look(ctx context.Context) error {
	if u.Progress != nil && u.verdict.Records%readPage == 0 {
		u.Progress(u.verdict.Records)
	}
	return u.here(ctx)
}

// here checks the checkpoints of the place that was just passed, in the table and in the store.
func (u *run) here(ctx context.Context) error {
	for {
		c, err := u.nextInTable(ctx)
		if err != nil {
			return err
		}
		if c == nil || c.Seq > u.seq {
			break
		}
		u.table = u.table[1:]
		if c.ChainID != u.verdict.ChainID {
			u.bad = problem(ForgedCheckpoint, c.Seq, 0, "the checkpoint in the database is of another chain, %s.", c.ChainID)
			return nil
		}
		if u.bad = u.checkpoint(*c, "the database"); u.bad != nil {
			return nil
		}
		u.both.table = append(u.both.table, *c)
	}
	for {
		c, err := u.nextInStore(ctx)
		if err != nil {
			return err
		}
		if c == nil || c.Seq > u.seq {
			return u.compare(ctx)
		}
		u.pending = nil
		full, err := readCheckpoint(ctx, u.Zone, c.key())
		switch {
		case errors.Is(err, errForged):
			u.bad = problem(ForgedCheckpoint, c.Seq, 0, "the object %s in the store is no checkpoint.", c.key())
		case err != nil:
			return err
		default:
			u.bad = u.checkpoint(full, "the store")
			u.both.store = append(u.both.store, full)
		}
		if u.bad != nil {
			return nil
		}
	}
}

// nextInTable is the next checkpoint of the table; nil at its end.
func (u *run) nextInTable(ctx context.Context) (*Checkpoint, error) {
	if len(u.table) == 0 {
		rows, err := u.DB.AuditCheckpoints(ctx, u.tableFrom, readPage)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			u.table, u.tableFrom = append(u.table, checkpointOf(r)), r.Seq
		}
		if len(rows) == 0 {
			return nil, nil
		}
	}
	return &u.table[0], nil
}

// nextInStore is the next checkpoint of the chain in the store; nil at its end.
func (u *run) nextInStore(ctx context.Context) (*Checkpoint, error) {
	if u.chain != u.verdict.ChainID {
		if err := u.leave(ctx); err != nil {
			return nil, err
		}
		u.chain = u.verdict.ChainID
		next, stop := iter.Pull2(stored(ctx, u.Zone, u.chain, u.seq-1, u.alien))
		u.store, u.stopStore, u.pending = func() (Checkpoint, error, bool) { return next() }, stop, nil
	}
	if u.pending == nil && u.store != nil {
		c, err, more := u.store()
		if err != nil {
			return nil, err
		}
		if more {
			u.pending = &c
		} else {
			u.store = nil
		}
	}
	return u.pending, nil
}

// leave notes what the store still has of a chain that ended by a restore: records that the restore could not bring back.
func (u *run) leave(ctx context.Context) error {
	if u.chain == "" {
		return nil
	}
	c := u.pending
	for u.store != nil {
		n, err, more := u.store()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		c = &n
	}
	u.stopStore()
	if c != nil {
		u.verdict.note("The chain %s had gone on to place %d at least before the restore; its records behind place %d were lost with the database.", c.ChainID, c.Seq, u.seq)
	}
	return nil
}

// ends checks that nothing was cut off: whoever speaks of a later place, the head or a checkpoint, must be able to show it.
func (u *run) ends(ctx context.Context) error {
	if u.bad = u.enter(); u.bad != nil {
		return nil
	}
	for {
		further, where, err := u.further(ctx)
		if err != nil || u.bad != nil || further <= u.seq {
			return err
		}
		was := u.seq
		if _, err := u.database(ctx); err != nil || u.bad != nil { // it has grown meanwhile, then
			return err
		}
		if u.seq == was {
			u.bad = problem(CutOff, u.seq+1, 0, "the log ends at place %d, and %s says that it had gone on to place %d: what is missing was cut off.", u.seq, where, further)
			return nil
		}
	}
}

func (u *run) further(ctx context.Context) (int64, string, error) {
	if u.verdict.ChainID == "" { // nothing was ever sealed; or all of it is gone, which others() tells
		return 0, "", nil
	}
	c, err := u.nextInStore(ctx)
	if err != nil {
		return 0, "", err
	}
	if c != nil && c.Seq > u.seq {
		return c.Seq, "a checkpoint in the store", nil
	}
	if c, err = u.nextInTable(ctx); err != nil {
		return 0, "", err
	}
	if c != nil && c.Seq > u.seq {
		return c.Seq, "a checkpoint in the database", nil
	}
	head, err := u.DB.AuditHead(ctx)
	if errors.Is(err, storage.ErrNotFound) {
		u.bad = problem(Removed, u.seq, 0, "the head of the chain is gone.")
		return 0, "", nil
	}
	return head.Seq, "the head of the chain", err
}

// inserted looks for records without a seal where the sealer had sealed everything.
func (u *run) inserted(ctx context.Context) error {
	head, err := u.DB.AuditHead(ctx)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	after := int64(math.MinInt64)
	if u.verdict.FirstSeq > 1 && u.verdict.Archives == 0 { // a part only: what is around its first record
		if first, err := u.DB.AuditSealAt(ctx, u.verdict.FirstSeq); err == nil {
			after = first.RecordID - 1
		}
	}
	id, err := u.DB.UnsealedUpTo(ctx, after, max(head.Watermark, u.watermark))
	if err != nil || id == 0 {
		return err
	}
	u.bad = problem(Inserted, 0, id, "the record has no seal, and every record up to %d had one: it was put there later.", head.Watermark)
	return nil
}

// others looks for chains that only the store knows: the database was emptied or exchanged, unless a restore says so.
func (u *run) others(ctx context.Context, known []meta.AuditChain) error {
	names, err := storedChains(ctx, u.Zone, u.alien)
	if err != nil {
		return err
	}
	var givenUp []string
	var ours []string
	for _, c := range known {
		ours = append(ours, c.ChainID)
		givenUp = append(givenUp, splitList(c.GivesUp)...)
	}
	for _, name := range names {
		switch {
		case slices.Contains(ours, name):
		case slices.Contains(givenUp, name):
			u.verdict.note("The store has checkpoints of chain %s, which this log does not contain: a restore has given it up.", name)
		default:
			return u.foreign(ctx, name)
		}
	}
	return nil
}

// foreign judges a chain that the store has and the database does not know.
func (u *run) foreign(ctx context.Context, name string) error {
	for c, err := range stored(ctx, u.Zone, name, 0, u.alien) {
		if err != nil {
			return err
		}
		full, err := readCheckpoint(ctx, u.Zone, c.key())
		if err != nil && !errors.Is(err, errForged) {
			return err
		}
		if err != nil || !full.Signed(u.Public) {
			u.bad = problem(ForgedCheckpoint, c.Seq, 0, "the store has a checkpoint of a chain %s that is not signed with the key %s.", name, u.Public.Fingerprint())
			return nil
		}
		u.bad = problem(CutOff, 1, 0, "the store has checkpoints of the chain %s, of which the database has nothing: the whole log was cut off or exchanged.", name)
		return nil
	}
	return nil
}
