package ffmpeg

import (
	"bytes"
	"strconv"
	"time"
)

// maxProgressLine is longer than any line of ffmpeg's.
const maxProgressLine = 256

// progress reads what ffmpeg writes under -progress and tells the share that is done: never less than before, and 1
// only by done.
type progress struct {
	total time.Duration
	tell  func(share float64) // may be nil
	line  []byte
	share float64
	// at is the time of the last frame written.
	at time.Duration
}

// Write never fails.
func (p *progress) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		line, rest, complete := bytes.Cut(b, []byte("\n"))
		if room := maxProgressLine - len(p.line); room > 0 {
			p.line = append(p.line, line[:min(room, len(line))]...)
		}
		if complete {
			p.read(p.line)
			p.line = p.line[:0]
		}
		b = rest
	}
	return n, nil
}

// read takes one line. Before the first frame the time is N/A or negative.
func (p *progress) read(line []byte) {
	value, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("out_time_us="))
	if !ok {
		return
	}
	us, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || us < 0 || us > maxDuration.Microseconds() {
		return
	}
	p.at = max(p.at, time.Duration(us)*time.Microsecond)
	if p.total <= 0 {
		return
	}
	// The last hundredth is for what comes after the last frame.
	p.advance(min(0.99, float64(p.at)/float64(p.total)))
}

func (p *progress) done() { p.advance(1) }

func (p *progress) advance(share float64) {
	if share <= p.share {
		return
	}
	p.share = share
	if p.tell != nil {
		p.tell(share)
	}
}
