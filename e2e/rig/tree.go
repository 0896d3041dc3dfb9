package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// clockTick is how many of the kernel's units of processor time make a second: USER_HZ, 100 on every Linux that Go
// runs on.
const clockTick = 100

// Tree is a program and everything it has started, directly or not.
type Tree struct {
	// CPU is processor time in seconds, that of ended children that were waited for included.
	CPU float64
	// Resident is memory in bytes; pages that two processes share count twice.
	Resident int64
	// Commands are the command lines, the arguments apart.
	Commands [][]string
}

// Running reports whether a program of that base name is in the tree.
func (t Tree) Running(program string) bool { return t.Command(program) != nil }

// Command is the command line of the first program of that base name, nil when there is none.
func (t Tree) Command(program string) []string {
	for _, c := range t.Commands {
		if filepath.Base(c[0]) == program {
			return c
		}
	}
	return nil
}

// Tree looks at the process and what is below it. What begins or ends meanwhile may be missed.
func (p *Process) Tree() Tree {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return Tree{}
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		p.t.Fatal(err)
	}
	stats := map[string][]string{}
	for _, dir := range dirs {
		raw, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue // it has ended
		}
		// The name stands in parentheses and may hold anything; the fields behind it begin with the state.
		stats[filepath.Base(dir)] = strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	}
	root := strconv.Itoa(p.cmd.Process.Pid)
	var t Tree
	for pid := range stats {
		if under(stats, pid, root) {
			t.add(pid, stats[pid])
		}
	}
	return t
}

// The fields of /proc/PID/stat behind the name (proc(5)).
const (
	statParent = 1
	statUtime  = 11
	statCstime = 14
	statRSS    = 21
)

func under(stats map[string][]string, pid, root string) bool {
	for range 64 { // deeper than any tree of ours
		if pid == root {
			return true
		}
		stat, ok := stats[pid]
		if !ok {
			return false
		}
		pid = stat[statParent]
	}
	return false
}

func (t *Tree) add(pid string, stat []string) {
	number := func(i int) int64 {
		n, err := strconv.ParseInt(stat[i], 10, 64)
		if err != nil {
			panic(fmt.Sprintf("/proc/%s/stat: %v", pid, err)) // the kernel writes numbers there
		}
		return n
	}
	for i := statUtime; i <= statCstime; i++ {
		t.CPU += float64(number(i)) / clockTick
	}
	t.Resident += number(statRSS) * int64(os.Getpagesize())
	if raw, err := os.ReadFile("/proc/" + pid + "/cmdline"); err == nil && len(raw) > 0 {
		t.Commands = append(t.Commands, strings.Split(strings.TrimSuffix(string(raw), "\x00"), "\x00"))
	}
}
