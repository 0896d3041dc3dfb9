package main

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// console is the testing.TB that package rig asks for, for a program: failures end it, clean-ups run at the end
// of a section.
type console struct {
	testing.TB // nil: only the methods below are ever called

	name     string
	cleanups []func()
	dirs     []string
	failed   bool
	// share is how much of the full number of uploads is to be done.
	share float64
}

func newConsole(name string) *console { return &console{name: name} }

func (c *console) close() {
	for i := len(c.cleanups) - 1; i >= 0; i-- {
		c.cleanups[i]()
	}
	for _, d := range c.dirs {
		_ = os.RemoveAll(d)
	}
}

// Helper is part of testing.TB.
func (c *console) Helper() {}

// Failed is part of testing.TB.
func (c *console) Failed() bool { return c.failed }

// Cleanup is part of testing.TB.
func (c *console) Cleanup(f func()) { c.cleanups = append(c.cleanups, f) }

// TempDir is part of testing.TB.
func (c *console) TempDir() string {
	d, err := os.MkdirTemp("", "gatehouse-bench-")
	c.must(err)
	c.dirs = append(c.dirs, d)
	return d
}

// Logf is part of testing.TB.
func (c *console) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// Errorf is part of testing.TB.
func (c *console) Errorf(format string, args ...any) {
	c.failed = true
	c.Logf("bench: "+c.name+": "+format, args...)
}

// Fatal is part of testing.TB.
func (c *console) Fatal(args ...any) { c.Fatalf("%s", fmt.Sprint(args...)) }

// Fatalf is part of testing.TB.
func (c *console) Fatalf(format string, args ...any) {
	c.Errorf(format, args...)
	c.close()
	os.Exit(1)
}

// FailNow is part of testing.TB.
func (c *console) FailNow() { c.Fatal("see above") }

// Context is part of testing.TB.
func (c *console) Context() context.Context { return context.Background() }

func (c *console) must(err error) {
	if err != nil {
		c.Fatal(err)
	}
}
