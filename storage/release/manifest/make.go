package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// dateForm is Date.prototype.toISOString of JavaScript, which electron-builder writes.
const dateForm = "2006-01-02T15:04:05.000Z"

// Make writes a manifest. Every text is in double quotes, so that none is taken for a number, a date or null, whatever the reader's
// version of YAML. It fails on text that is not UTF-8 and when the result is over MaxBytes.
func Make(i Info) ([]byte, error) {
	m := &mapping{}
	m.text("version", i.Version)
	files := &yaml.Node{Kind: yaml.SequenceNode}
	for _, f := range i.Files {
		one := &mapping{}
		one.text("url", f.URL)
		one.text("sha512", f.SHA512)
		one.number("size", f.Size)
		if f.BlockMapSize > 0 {
			one.number("blockMapSize", f.BlockMapSize)
		}
		files.Content = append(files.Content, one.node())
	}
	m.put("files", files)
	m.optional("path", i.Path)
	m.optional("sha512", i.SHA512)
	m.optional("releaseName", i.ReleaseName)
	m.optional("releaseNotes", i.ReleaseNotes)
	m.optional("minimumSystemVersion", i.MinimumSystemVersion)
	if !i.ReleaseDate.IsZero() {
		m.text("releaseDate", i.ReleaseDate.UTC().Format(dateForm))
	}
	return encode(m.node())
}

func encode(doc *yaml.Node) ([]byte, error) {
	if err := utf8Only(doc); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(doc), e.Close()); err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	if out.Len() > MaxBytes {
		return nil, fmt.Errorf("write manifest: %d bytes, more than %d", out.Len(), MaxBytes)
	}
	return out.Bytes(), nil
}

// utf8Only keeps the encoder from writing other text as binary.
func utf8Only(n *yaml.Node) error {
	if !utf8.ValidString(n.Value) {
		return fmt.Errorf("write manifest: %q is not UTF-8", n.Value)
	}
	for _, c := range n.Content {
		if err := utf8Only(c); err != nil {
			return err
		}
	}
	return nil
}

// mapping is a YAML mapping that keeps its order.
type mapping struct{ content []*yaml.Node }

func (m *mapping) put(key string, value *yaml.Node) {
	m.content = append(m.content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
}

func (m *mapping) text(key, value string) {
	m.put(key, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value, Style: yaml.DoubleQuotedStyle})
}

func (m *mapping) optional(key, value string) {
	if value != "" {
		m.text(key, value)
	}
}

func (m *mapping) number(key string, value int64) {
	m.put(key, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(value, 10)})
}

func (m *mapping) node() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode, Content: m.content} }
