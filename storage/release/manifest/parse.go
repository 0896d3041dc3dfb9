package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// oldBreaks end lines for a reader of YAML 1.1 and are text for one of 1.2, and so is a mark of the byte order inside.
const oldBreaks = "\u0085\u2028\u2029\ufeff"

// ErrInvalid is what Parse refuses with; the text after it says why.
var ErrInvalid = errors.New("not a manifest")

// Parse reads the bytes of a publisher: UTF-8, at most MaxBytes, one document, no aliases, anchors, tags or merge keys, no key
// twice, and nothing of what strict.go refuses. Keys that it does not know are passed over. What it accepts, js-yaml reads to
// the same values.
func Parse(raw []byte) (Info, error) {
	switch {
	case len(raw) > MaxBytes:
		return Info{}, fmt.Errorf("%w: more than %d bytes", ErrInvalid, MaxBytes)
	case !utf8.Valid(raw):
		return Info{}, fmt.Errorf("%w: not UTF-8", ErrInvalid)
	case bytes.ContainsAny(bytes.TrimPrefix(raw, []byte("\ufeff")), oldBreaks):
		return Info{}, fmt.Errorf("%w: it holds U+0085, U+2028, U+2029 or U+FEFF; write them escaped", ErrInvalid)
	}
	doc, err := document(raw)
	if err != nil {
		return Info{}, err
	}
	src := source{lines: linesOf(raw)}
	if err := src.directives(); err != nil {
		return Info{}, err
	}
	if err := src.plain(doc, 0, false); err != nil {
		return Info{}, err
	}
	return src.info(doc)
}

func document(raw []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(raw))
	var doc, more yaml.Node
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more than one document", ErrInvalid)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%w: it is no list of keys and values", ErrInvalid)
	}
	return doc.Content[0], nil
}

// reader takes values of a mapping and keeps the first failure.
type reader struct {
	source
	of  *yaml.Node
	err error
}

func (r *reader) get(key string) *yaml.Node {
	for i := 0; i+1 < len(r.of.Content); i += 2 {
		if r.of.Content[i].Value == key && r.of.Content[i+1].Tag != "!!null" {
			return r.of.Content[i+1]
		}
	}
	return nil
}

func (r *reader) fail(key, want string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: line %d: %s must be %s", ErrInvalid, r.of.Line, key, want)
	}
}

func (r *reader) text(key string) string {
	n := r.get(key)
	if n == nil {
		return ""
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" || !r.ends(n) {
		r.fail(key, "text, on one line if in quotes")
		return ""
	}
	return n.Value
}

// number is the one form of a whole number that every version of YAML reads alike, below 2^53.
var number = regexp.MustCompile(`^(?:0|[1-9][0-9]{0,14})$`)

func (r *reader) size(key string) int64 {
	n := r.get(key)
	if n == nil {
		return 0
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || !number.MatchString(n.Value) {
		r.fail(key, "a number of bytes")
		return 0
	}
	v, _ := strconv.ParseInt(n.Value, 10, 64) // the form says that it is one
	return v
}

// date is optional to clients; one in a form that is not known is none.
func (r *reader) date(key string) time.Time {
	n := r.get(key)
	if n == nil || n.Kind != yaml.ScalarNode {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, n.Value)
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// note is text that is only shown; electron-updater also has a form of it that is a list.
func (r *reader) note(key string) string {
	if n := r.get(key); n != nil && n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		return n.Value
	}
	return ""
}

// staged reports whether there is a stagingPercentage that is not plainly 100. electron-updater takes parseInt of whatever stands
// there, a list too, and everybody when that is no number.
func (r *reader) staged() bool {
	n := r.get("stagingPercentage")
	return n != nil && (n.Kind != yaml.ScalarNode || n.Tag != "!!int" && n.Tag != "!!str" || n.Value != "100" || !r.ends(n))
}

func (s source) info(doc *yaml.Node) (Info, error) {
	r := &reader{source: s, of: doc}
	i := Info{
		Version: r.text("version"), Path: r.text("path"), SHA512: r.text("sha512"), ReleaseDate: r.date("releaseDate"),
		ReleaseName: r.note("releaseName"), ReleaseNotes: r.note("releaseNotes"),
		MinimumSystemVersion: r.text("minimumSystemVersion"), Packages: r.get("packages") != nil, Staged: r.staged(),
	}
	var err error
	if files := r.get("files"); files != nil {
		if files.Kind != yaml.SequenceNode {
			r.fail("files", "a list")
		} else if i.Files, err = s.files(files.Content); err != nil {
			return Info{}, err
		}
	}
	if r.err != nil {
		return Info{}, r.err
	}
	if i.Version == "" {
		return Info{}, fmt.Errorf("%w: it has no version", ErrInvalid)
	}
	return i, nil
}

func (s source) files(nodes []*yaml.Node) ([]File, error) {
	var out []File
	for _, n := range nodes {
		if n.Kind != yaml.MappingNode {
			return nil, fmt.Errorf("%w: line %d: a file must have keys and values", ErrInvalid, n.Line)
		}
		r := &reader{source: s, of: n}
		out = append(out, File{URL: r.text("url"), SHA512: r.text("sha512"), Size: r.size("size"), BlockMapSize: r.size("blockMapSize")})
		if r.err != nil {
			return nil, r.err
		}
	}
	return out, nil
}
