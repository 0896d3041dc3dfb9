package contract

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// eventKinds are the kinds that the document's table of events lists.
var eventKinds = []string{"accepted", "scanned", "variant_ready", "media", "damaged", "deleted", "end"}

// watch checks an event stream while the test reads it.
func (x *transport) watch(path string, body io.ReadCloser) io.ReadCloser {
	return &eventBody{ReadCloser: body, x: x, path: path}
}

type eventBody struct {
	io.ReadCloser
	x    *transport
	path string
	// line is the current line so far; fields are those of the current event.
	line   []byte
	fields map[string]string
	last   int64
	ended  bool
}

// Read passes the bytes on and looks at each event that is whole.
func (b *eventBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	for _, c := range p[:n] {
		if c != '\n' {
			b.line = append(b.line, c)
			continue
		}
		if ferr := b.endLine(); ferr != nil {
			b.x.t.Errorf("contract: events of %s: %v", b.path, ferr)
		}
		b.line = b.line[:0]
	}
	return n, err
}

// endLine takes a line in: a comment, a field, or the empty line that ends an event.
func (b *eventBody) endLine() error {
	switch {
	case len(b.line) == 0 && b.fields == nil, bytes.HasPrefix(b.line, []byte(":")):
		return nil
	case len(b.line) == 0:
		fields := b.fields
		b.fields = nil
		return b.event(fields)
	}
	name, value, ok := bytes.Cut(b.line, []byte(": "))
	if !ok {
		return fmt.Errorf("a line is neither a field nor a comment: %q", b.line)
	}
	if b.fields == nil {
		b.fields = map[string]string{}
	}
	if _, twice := b.fields[string(name)]; twice {
		return fmt.Errorf("the field %s is there twice", name)
	}
	b.fields[string(name)] = string(value)
	return nil
}

func (b *eventBody) event(fields map[string]string) error {
	kind := fields["event"]
	id, err := strconv.ParseInt(fields["id"], 10, 64)
	switch {
	case b.ended:
		return fmt.Errorf("%s comes after the end", kind)
	case !slices.Contains(eventKinds, kind):
		return fmt.Errorf("the kind %q is not in the document", kind)
	case err != nil:
		return fmt.Errorf("the id of %s: %w", kind, err)
	case id < b.last || (id == b.last && kind != "end"):
		return fmt.Errorf("the id %d of %s does not follow %d", id, kind, b.last)
	case len(fields) != 3:
		return fmt.Errorf("%s has other fields than id, event and data: %v", kind, fields)
	}
	b.last, b.ended = id, kind == "end"
	if err := Fits(b.x.tenant.doc, "AssetEvent", []byte(fields["data"])); err != nil {
		return fmt.Errorf("the data of %s: %w", kind, err)
	}
	return nil
}
