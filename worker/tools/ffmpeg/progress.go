package ffmpeg

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// maxProgressLine is longer than any line of ffmpeg's.
const maxProgressLine = 256

// Shares of the work. A copy is done in no time, or fails and has all the encoding follow; the last hundredth is for
// what comes after the last frame.
const (
	copyShare   = 0.05
	encodeShare = 0.99
)

// progress reads what ffmpeg writes under -progress and tells the share that is done: never less than before, and 1
// only by done.
type progress struct {
	total time.Duration
	// upTo is the share that is done with the last frame.
	upTo  float64
	tell  func(share float64) // may be nil
	line  []byte
	share float64
	// at is the time of the last frame written.
	at time.Duration
	// moved, which may be nil, is told when a count of what is done has changed; counts has the last ones.
	moved  func()
	counts [3]string
}

// counted are the lines that change as long as ffmpeg gets on.
var counted = [len(progress{}.counts)]string{"frame=", "out_time_us=", "total_size="}

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
	p.count(string(bytes.TrimSpace(line)))
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
	p.advance(p.upTo * min(1, float64(p.at)/float64(p.total)))
}

func (p *progress) count(line string) {
	for i, name := range counted {
		if strings.HasPrefix(line, name) && line != p.counts[i] {
			p.counts[i] = line
			if p.moved != nil {
				p.moved()
			}
		}
	}
}

// again begins anew, with a run up to another share.
func (p *progress) again(upTo float64) { p.at, p.line, p.upTo = 0, nil, upTo }

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
