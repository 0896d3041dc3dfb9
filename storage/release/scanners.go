package release

import (
	"fmt"
	"slices"
	"time"

	"gatehouse/storage/meta"
)

// signatures are those that the workers scan with now.
type signatures struct {
	// database names them; "" when no worker does.
	database string
	// doubt says why the name means nothing; nil when it does.
	doubt *Problem
}

// currentSignatures asks all workers that were heard of lately, not only the one that told last: each may have given a verdict, and gives the
// next. Which of two databases is the later one their names do not tell, so a verdict counts only where all have the same one.
func currentSignatures(tx *meta.Tx) (signatures, error) {
	facts, err := tx.Scanners()
	if err != nil {
		return signatures{}, fmt.Errorf("read what is known of the scanners: %w", err)
	}
	now := time.Now()
	facts = slices.DeleteFunc(facts, func(f meta.ScannerFact) bool { return f.Silent(now) })
	var s signatures
	for i, f := range facts {
		switch {
		case !f.Ready:
			return signatures{doubt: scannerUnready(f)}, nil
		case i > 0 && f.Database != s.database:
			return signatures{doubt: scannersDisagree(facts[0], f)}, nil
		}
		s.database = f.Database
	}
	return s, nil
}

func scannerUnready(f meta.ScannerFact) *Problem {
	return &Problem{Slug: "scanner_unready",
		English: fmt.Sprintf("The scanner of the worker on %q is not ready, so nobody knows which signature database is current.", f.Host),
		Chinese: fmt.Sprintf("主机 %q 上 worker 的扫描器尚未就绪，因此无法确定当前的病毒特征库。", f.Host)}
}

func scannersDisagree(a, b meta.ScannerFact) *Problem {
	return &Problem{Slug: "scanners_disagree",
		English: fmt.Sprintf("The workers scan with different signature databases (%q: %q, %q: %q), so no verdict can be trusted; try again when they have the same one.",
			a.Host, a.Database, b.Host, b.Database),
		Chinese: fmt.Sprintf("各 worker 使用的病毒特征库不一致（%q：%q，%q：%q），因此无法信任任何扫描结论；请待其一致后重试。", a.Host, a.Database, b.Host, b.Database)}
}
