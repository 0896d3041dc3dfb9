package intake

// Rule is one check of a candidate. A refusal is a *storage.Error; any other error is our own trouble (a disk
// that does not read) and must never be taken for the client's.
type Rule struct {
	// Name is short and stable: it labels metrics and the audit log.
	Name  string
	Check func(*Candidate) error
}

// THE list. A new rule is one file and one line here; the order is the order of the checks, cheap ones first.
var (
	// preflightRules need nothing but what the client says. POST /assets/check runs only these.
	preflightRules = []Rule{
		{"name", checkName},
		{"extension", checkExtension},
		{"declared_size", checkDeclaredSize},
	}

	// headRules see the first bytes, before the rest has arrived.
	headRules = []Rule{
		{"type", checkType},
		{"release_type", checkReleaseType},
	}

	// fullRules see the whole spooled file.
	fullRules = []Rule{
		{"size", checkSize},
		{"image", checkImage},
		{"trailer", checkTrailer},
		{"ooxml", checkOOXML},
		{"pdf", checkPDF},
		{"text", checkText},
		{"release", checkRelease},
	}
)
