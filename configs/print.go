package configs

import (
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Print writes the effective configuration as YAML that Load would read again, except that secrets are masked. Behind
// each value that is not the default stands where it came from.
func (c *Config) Print(w io.Writer) error {
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(c.node(reflect.ValueOf(c).Elem(), "")); err != nil {
		return err
	}
	return enc.Close()
}

func (c *Config) node(v reflect.Value, path string) *yaml.Node {
	if isBranch(v.Type()) {
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range keysOf(v) {
			at := key
			if path != "" {
				at = path + "." + key
			}
			under, _ := child(v, key)
			n.Content = append(n.Content, scalar(key), c.node(under, at))
		}
		if v.Kind() == reflect.Map {
			n.Content = append(n.Content, c.removed(v, path)...)
		}
		return n
	}
	n := &yaml.Node{}
	if v.Kind() == reflect.Slice {
		n = &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for i := range v.Len() {
			n.Content = append(n.Content, c.node(v.Index(i), ""))
		}
	} else {
		n = leafNode(v)
	}
	if origin := c.origins[path]; origin != "" {
		n.LineComment = "# " + origin
	}
	return n
}

// removed lists the default entries of a map that the file took away.
func (c *Config) removed(v reflect.Value, path string) []*yaml.Node {
	var nodes []*yaml.Node
	for _, name := range slices.Sorted(maps.Keys(c.origins)) {
		key, under := strings.CutPrefix(name, path+".")
		if _, there := child(v, key); !under || there || strings.Contains(key, ".") {
			continue
		}
		nodes = append(nodes, scalar(key), &yaml.Node{
			Kind: yaml.ScalarNode, Tag: "!!null", Value: "null", LineComment: "# " + c.origins[name],
		})
	}
	return nodes
}

func leafNode(v reflect.Value) *yaml.Node {
	switch v.Interface().(type) {
	case bool, int, int64, Bytes, time.Duration:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: text(v)}
	}
	return scalar(text(v))
}

// scalar is a string, quoted where YAML would read it as something else.
func scalar(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}
