package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"gatehouse/worker/tools/sandbox"
)

// The child that does nothing, inside the sandbox and outside of it.
const (
	nothing     = "nothing"
	bareNothing = "bare-nothing"
)

// benchSandbox measures what the walls cost each child: this program, which links libvips as the worker does, starts
// itself with and without them.
func benchSandbox(c *console) []row {
	n := max(10, int(100*c.share))
	rules := sandbox.Rules{
		Limits: sandbox.Limits{CPU: time.Minute, MemoryBytes: 1 << 30}, Require: true,
	}
	began := time.Now()
	for range n {
		child, err := sandbox.Start(context.Background(), rules, sandbox.Program{Name: nothing})
		c.must(err)
		c.must(child.Wait())
	}
	walled := time.Since(began).Seconds() / float64(n)
	began = time.Now()
	for range n {
		c.must(exec.Command("/proc/self/exe", bareNothing).Run())
	}
	bare := time.Since(began).Seconds() / float64(n)
	return []row{{
		what: fmt.Sprintf("a child of the worker, start to end; the sandbox adds %s", ms(walled-bare)), measured: ms(walled),
		reference: "the same child without walls " + ms(bare), ratio: walled / bare,
	}}
}

// child runs this program as one of its own children, if it is one.
func child(args []string) {
	if len(args) < 2 {
		return
	}
	switch args[1] {
	case sandbox.ChildCommand:
		os.Exit(sandbox.Main(args[2:], map[string]func([]string) int{nothing: func([]string) int { return 0 }}))
	case bareNothing:
		os.Exit(0)
	case naiveCommand:
		if err := naive(args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}
