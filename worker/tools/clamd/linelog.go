package clamd

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
)

// maxLine bounds what is kept of one line of clamd's output.
const maxLine = 2 << 10

// lineLog writes clamd's output to the log, a record a line.
type lineLog struct {
	log  *slog.Logger
	line []byte
}

func (l *lineLog) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		part, after, ended := bytes.Cut(rest, []byte{'\n'})
		l.line = append(l.line, part[:min(len(part), maxLine-len(l.line))]...)
		if ended {
			l.flush()
		}
		rest = after
	}
	return len(p), nil
}

func (l *lineLog) flush() {
	line := strings.ToValidUTF8(strings.TrimSpace(string(l.line)), "?")
	l.line = l.line[:0]
	if line == "" {
		return
	}
	level := slog.LevelDebug // start-up chatter, and findings that the scan job reports itself
	switch {
	case strings.Contains(line, "ERROR:"):
		level = slog.LevelError
	case strings.Contains(line, "WARNING:"):
		level = slog.LevelWarn
	}
	l.log.Log(context.Background(), level, "clamd: "+line)
}
