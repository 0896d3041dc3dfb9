// Command bench measures Gatehouse against the bare parts it stands on and prints one table. Each row is a ratio
// whose two sides were measured in the same run, one right after the other, on the same machine with the same
// bytes. It needs the test services: make bench starts them.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"text/tabwriter"
	"time"
)

// row is one line of the table.
type row struct {
	what      string
	measured  string
	reference string
	ratio     float64
	// aim is what the ratio should be: "<= 1.2" or ">= 0.7"; empty when the row only informs.
	aim string
}

// section measures one group of rows.
type section struct {
	name string
	run  func(*console) []row
}

// sections is THE list of what is measured.
var sections = []section{
	{"uploads", benchUploads},
	{"memory", benchMemory},
	{"scan", benchScan},
	{"pictures", benchPictures},
	{"sandbox", benchSandbox},
	{"videos", benchVideos},
	{"latency", benchLatency},
	{"quota", benchQuota},
	{"reconcile", benchReconcile},
	{"admin", benchAdmin},
	{"audit", benchAudit},
	{"releases", benchReleases},
}

func main() {
	child(os.Args)
	only := flag.String("only", "", "run the sections whose name matches this regular expression (uploads, memory, scan, pictures, sandbox, videos, latency, quota, reconcile, admin, audit, releases)")
	share := flag.Float64("share", 1, "do this share of the uploads: 0.1 for a quick look with rough figures")
	flag.Parse()
	want, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: -only:", err)
		os.Exit(2)
	}
	began := time.Now()
	var rows []row
	for _, s := range sections {
		if !want.MatchString(s.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: %s ...\n", s.name)
		for _, r := range measure(s, *share) {
			fmt.Fprintf(os.Stderr, "bench: %s: %s against %s\n", r.what, r.measured, r.reference)
			rows = append(rows, r)
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "what\tGatehouse\treference\tratio\taim")
	for _, r := range rows {
		ratio := "-"
		if r.ratio > 0 {
			ratio = fmt.Sprintf("%.2f", r.ratio)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.what, r.measured, r.reference, ratio, r.aim)
	}
	_ = w.Flush()
	fmt.Fprintf(os.Stderr, "bench: done in %s\n", time.Since(began).Round(time.Second))
}

// measure runs a section with what it needs and tidies up behind it.
func measure(s section, share float64) []row {
	c := newConsole(s.name)
	c.share = share
	defer c.close()
	return s.run(c)
}
