package vips

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"gatehouse/worker/tools/sandbox"
)

// ErrTimeout is in the chain of the error of a picture that ran out of Config.Timeout: because the machine was busy, or
// because the picture hangs the decoder, which the next attempts tell.
var ErrTimeout = errors.New("no result in time")

// pool keeps children between jobs. Busy and idle ones together are never more than the slots.
type pool struct {
	cfg     Config
	program string
	slots   chan struct{}

	mu     sync.Mutex
	idle   []*child // the one that has waited longest first
	closed bool
}

func newPool(c Config) *pool {
	return &pool{cfg: c, program: ProgramName, slots: make(chan struct{}, c.Concurrency)}
}

// slot waits for the right to have a child at work.
func (p *pool) slot(ctx context.Context) (free func(), err error) {
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// run has a child do the work. A child that has done other work before may die of what that left behind, or lie:
// then a new one is asked for the rest, and only its failure counts.
func (p *pool) run(ctx context.Context, w *work) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.cfg.Timeout, ErrTimeout)
	defer cancel()
	c, err := p.take(w.owner)
	if err != nil {
		return err
	}
	used := c.jobs > 0
	err = p.employ(ctx, c, w)
	if !used || !errors.Is(err, ErrUndecodable) || ctx.Err() != nil {
		return err
	}
	if err := w.desk.renew(w.output); err != nil {
		return err
	}
	if c, err = p.start(w.owner); err != nil { // in the place of the one that has ended
		return err
	}
	return p.employ(ctx, c, w)
}

// employ has this child do the work, and keeps it for the next one or ends it.
func (p *pool) employ(ctx context.Context, c *child, w *work) error {
	again, err := c.do(ctx, w, p.cfg)
	if err == nil && again && c.jobs < p.cfg.Jobs {
		p.put(c)
	} else {
		c.end()
	}
	return err
}

// take gives a child that serves the owner: one that waits, or a new one in place of another owner's.
func (p *pool) take(owner string) (*child, error) {
	for {
		p.mu.Lock()
		var c, evicted *child
		if i := slices.IndexFunc(p.idle, func(c *child) bool { return c.owner == owner }); i >= 0 {
			c = p.idle[i]
			p.idle = slices.Delete(p.idle, i, i+1)
		} else if len(p.idle) > 0 && len(p.idle)+len(p.slots) > cap(p.slots) {
			evicted = p.idle[0]
			p.idle = slices.Delete(p.idle, 0, 1)
		}
		p.mu.Unlock()
		switch {
		case c != nil:
			c.timer.Stop()
			if c.silent() {
				return c, nil
			}
			c.end()
			continue
		case evicted != nil:
			evicted.end()
		}
		return p.start(owner)
	}
}

// put lets a child wait for its owner's next picture.
func (p *pool) put(c *child) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		go c.end()
		return
	}
	c.timer = time.AfterFunc(p.cfg.Idle, func() {
		if p.remove(c) {
			c.end()
		}
	})
	p.idle = append(p.idle, c)
}

// remove reports whether the child was idle.
func (p *pool) remove(c *child) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.idle, c)
	if i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
	}
	return i >= 0
}

func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, c := range idle {
		c.timer.Stop()
		c.end()
	}
}

// start makes a child for the owner: the one place that decides what it may see and touch.
func (p *pool) start(owner string) (*child, error) {
	conn, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("start the decoder: %w", err)
	}
	defer func() { _ = theirs.Close() }()
	process, err := sandbox.Start(context.Background(), p.cfg.rules(), p.cfg.command(p.program, theirs))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the decoder: %w", err), conn.Close())
	}
	return &child{owner: owner, process: process, conn: conn}, nil
}
