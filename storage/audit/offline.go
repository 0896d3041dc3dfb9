package audit

import (
	"errors"
	"fmt"
	"io"

	"gatehouse/storage/meta"
)

// VerifyFile checks an exported file, or an archive, with nothing but the public key. What is wrong with the file is in the
// verdict; an error is of reading it. A file without a signed end, which anybody can cut off or write anew, is not whole
// unless allowUnsigned says that the caller knows where it comes from.
func VerifyFile(r io.Reader, public PublicKey, allowUnsigned bool) (Verdict, error) {
	v := Verdict{Fingerprint: public.Fingerprint(), Notes: []string{}}
	w := &walk{public: public, v: &v, allowUnsigned: allowUnsigned}
	e, err := w.file(r, false, func(meta.AuditLink) error { return nil })
	if err != nil {
		return v, err
	}
	v.Problem, v.Whole = e.bad, e.bad == nil
	return v, nil
}

// fileEnd is how reading a file ended.
type fileEnd struct {
	header header
	bad    *Problem
}

// file walks over a file and gives every link that is good to each. goOn goes on where the walk
// is, passing over what comes before; else it begins where the file does.
func (w *walk) file(r io.Reader, goOn bool, each func(meta.AuditLink) error) (out fileEnd, err error) {
	f, err := newFileReader(r)
	if errors.Is(err, errLine) {
		out.bad = problem(Changed, 1, 0, "the file cannot be read: %v.", err)
		return out, nil
	}
	if err != nil {
		return out, err
	}
	defer f.close()
	first, err := f.next()
	switch {
	case errors.Is(err, io.EOF):
		out.bad = problem(CutOff, 1, 0, "the file is empty.")
	case err != nil:
		out.bad, err = w.unreadable(err)
	case first.Header == nil || first.Header.Format != fileFormat:
		out.bad = problem(Changed, 1, 0, "the file does not begin as an export of the audit log of this version.")
	}
	if err != nil && !errors.Is(err, io.EOF) || out.bad != nil {
		return out, ignoreEOF(err)
	}
	out.header = *first.Header
	if out.bad = w.header(out.header, goOn); out.bad != nil {
		return out, nil
	}
	for {
		l, err := f.next()
		if errors.Is(err, io.EOF) {
			out.bad = problem(CutOff, w.seq+1, 0, "the file ends without its last line.")
			return out, nil
		}
		if err != nil {
			out.bad, err = w.unreadable(err)
			return out, err
		}
		if l.End != nil {
			out.bad, err = w.end(f, *l.End)
			return out, err
		}
		if out.bad, err = w.line(f, l, each); err != nil || out.bad != nil {
			return out, err
		}
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// unreadable tells damage from a reader that failed.
func (w *walk) unreadable(err error) (*Problem, error) {
	if !errors.Is(err, errLine) {
		return nil, err
	}
	return problem(Changed, w.seq+1, 0, "the file cannot be read here: %v.", err), nil
}

// header checks the first line. In the middle of a walk it must go on where that is.
func (w *walk) header(h header, goOn bool) *Problem {
	if h.PublicKey != w.public.String() {
		return problem(ForgedCheckpoint, h.FirstSeq, 0, "the file says that it is of another key than %s.", w.public.Fingerprint())
	}
	if !goOn {
		w.seq, w.hash, w.v.FirstSeq, w.v.LastSeq = h.FirstSeq-1, h.PrevHash, h.FirstSeq, h.FirstSeq-1
		for _, c := range h.Chains {
			w.chains = append(w.chains, meta.AuditChain(c))
		}
		return w.enter()
	}
	w.skip = w.seq
	return nil
}

// line checks a link or a checkpoint.
func (w *walk) line(f *fileReader, l line, each func(meta.AuditLink) error) (*Problem, error) {
	switch {
	case l.Checkpoint != nil && l.Seal == nil && l.Header == nil && l.Record == nil:
		if l.Checkpoint.Seq < w.seq { // of a part that was passed already
			return nil, nil
		}
		if l.Checkpoint.Seq > w.seq || l.Checkpoint.ChainID != w.v.ChainID {
			return problem(ForgedCheckpoint, w.seq, 0, "the file has a checkpoint here that is of place %d of chain %s.", l.Checkpoint.Seq, l.Checkpoint.ChainID), nil
		}
		return w.checkpoint(*l.Checkpoint, "the file"), nil
	case l.Seal == nil || l.Record == nil || l.Header != nil || l.Checkpoint != nil:
		return problem(Changed, w.seq+1, 0, "the line is no record."), nil
	}
	k, err := f.linkOf(l)
	if err != nil {
		p, err := w.unreadable(err)
		return p, err
	}
	if w.seq == w.skip && k.Seal.Seq <= w.skip {
		return nil, nil
	}
	if p := w.enter(); p != nil { // not before the checkpoints of the last place, which are of the chain before
		return p, nil
	}
	if w.fits(k) {
		if p := w.pass(k); p != nil {
			return p, nil
		}
		return nil, each(k)
	}
	return w.diagnose(k, func() (meta.AuditLink, bool, error) { return f.ahead() })
}

// ahead reads the next link for a diagnosis.
func (f *fileReader) ahead() (meta.AuditLink, bool, error) {
	for {
		l, err := f.next()
		if err != nil || l.End != nil {
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, errLine) {
				return meta.AuditLink{}, false, err
			}
			return meta.AuditLink{}, false, nil
		}
		if l.Seal == nil || l.Record == nil {
			continue
		}
		k, err := f.linkOf(l)
		if err != nil {
			return meta.AuditLink{}, false, nil
		}
		return k, true, nil
	}
}

// end checks the last line, and that nothing follows it.
func (w *walk) end(f *fileReader, e ending) (*Problem, error) {
	if _, err := f.next(); !errors.Is(err, io.EOF) {
		if err != nil && !errors.Is(err, errLine) {
			return nil, err
		}
		return problem(Inserted, w.seq+1, 0, "something follows the end of the file."), nil
	}
	switch {
	case e.LastSeq > w.seq:
		return problem(CutOff, w.seq+1, 0, "the file says that it goes on to place %d.", e.LastSeq), nil
	case e.LastSeq != w.seq || e.SHA256 != sumOf(f.sum):
		return problem(Changed, w.seq, 0, "the file is not the one that was written: its checksum is another."), nil
	case e.Signature == "" && !w.allowUnsigned:
		return problem(Unsigned, w.seq, 0, "the end of the file is not signed: anybody can have cut it off here, or written what is behind place %d.", w.v.SignedSeq), nil
	case e.Signature == "":
		w.v.note("The end of the file is not signed: the places behind %d are chained only, and whether it went on behind place %d nobody can tell.", w.v.SignedSeq, w.seq)
	case !w.public.signed(e.statement(), e.Signature):
		return problem(ForgedCheckpoint, w.seq, 0, "the end of the file is not signed with the key %s.", w.public.Fingerprint()), nil
	default:
		w.v.SignedSeq = max(w.v.SignedSeq, w.seq)
	}
	return nil, nil
}

// String says a verdict in a line or two.
func (v Verdict) String() string {
	if v.Problem != nil && v.Problem.Kind == Unsigned {
		return fmt.Sprintf("The audit log is not proven: %s. %s", v.Problem.Kind, v.Problem.Sentence)
	}
	if v.Problem != nil {
		return fmt.Sprintf("The audit log is not what was written: %s. %s", v.Problem.Kind, v.Problem.Sentence)
	}
	return fmt.Sprintf("The audit log is whole: %d records, places %d to %d, %d checkpoints, %d archives; signed up to place %d with the key %s.",
		v.Records, v.FirstSeq, v.LastSeq, v.Checkpoints, v.Archives, v.SignedSeq, v.Fingerprint)
}
