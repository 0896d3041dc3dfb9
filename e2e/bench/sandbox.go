package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
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
	var walled, bare []float64
	for range n { // by turns, so that both meet the same machine
		began := time.Now()
		child, err := sandbox.Start(context.Background(), rules, sandbox.Program{Name: nothing})
		c.must(err)
		c.must(child.Wait())
		walled = append(walled, time.Since(began).Seconds())
		began = time.Now()
		unwalled := exec.Command("/proc/self/exe", bareNothing)
		unwalled.Env = []string{} // as the sandbox gives none
		c.must(unwalled.Run())
		bare = append(bare, time.Since(began).Seconds())
	}
	with, without := median(walled), median(bare)
	return []row{{
		what: fmt.Sprintf("a child of the worker, start to end: the sandbox adds %s", ms(with-without)), measured: ms(with),
		reference: "the same child without walls " + ms(without), ratio: with / without,
	}}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
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
	case bareListing, wholeCompare:
		if err := reconcileChild(args[1], args[2], args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case bareFiber:
		if err := serveBareFiber(args[2], args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case naiveCommand:
		if err := naive(args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}
