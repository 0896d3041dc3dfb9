package api

// Why is the part of an input that says why something is done; it goes into the audit record.
type Why struct {
	Reason string `json:"reason" doc:"Why; kept in the audit log."`
}

// because keeps the reason of a call that must have one.
func (r *Request) because(w Why) error {
	r.Admin.Reason = w.Reason
	return w.given()
}

// Named names something in the path by its name.
type Named struct {
	Name string `path:"name" json:"-"`
}

// NamedWhy is Named with a reason.
type NamedWhy struct {
	Why
	Name string `path:"name" json:"-"`
}

// ByID names something in the path by its id.
type ByID struct {
	ID string `path:"id" json:"-"`
}

// ByIDWhy is ByID with a reason.
type ByIDWhy struct {
	Why
	ID string `path:"id" json:"-"`
}
