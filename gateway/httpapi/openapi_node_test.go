package httpapi

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// mapping is a YAML mapping in the order of its pairs, name and value. An empty text or list and a nil node leave their pair out.
func mapping(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i < len(pairs); i += 2 {
		put(n, pairs[i].(string), pairs[i+1])
	}
	return n
}

func put(n *yaml.Node, name string, value any) {
	v := node(value)
	if v == nil {
		return
	}
	n.Content = append(n.Content, node(name), v)
}

// node is a value as YAML; short lists of words stand on one line.
func node(value any) *yaml.Node {
	switch v := value.(type) {
	case *yaml.Node:
		return v
	case string:
		if v == "" {
			return nil
		}
	case []string:
		if len(v) == 0 {
			return nil
		}
		return flow(encoded(v))
	case []*yaml.Node:
		if len(v) == 0 {
			return nil
		}
		return &yaml.Node{Kind: yaml.SequenceNode, Content: v}
	}
	return encoded(value)
}

func encoded(value any) *yaml.Node {
	n := &yaml.Node{}
	if err := n.Encode(value); err != nil {
		panic(err) // only plain values come here
	}
	return n
}

// flow writes a node on one line.
func flow(n *yaml.Node) *yaml.Node {
	n.Style |= yaml.FlowStyle
	return n
}

func ref(kind, name string) *yaml.Node {
	return flow(mapping("$ref", "#/components/"+kind+"/"+name))
}

// get is the value of a mapping's name, nil if there is none.
func get(n *yaml.Node, path ...string) *yaml.Node {
	for _, name := range path {
		var found *yaml.Node
		for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
			if n.Content[i].Value == name {
				found = n.Content[i+1]
			}
		}
		if found == nil {
			return nil
		}
		n = found
	}
	return n
}

// tenantDocument gives parts of the other document, for what both have in common.
func tenantDocument(t *testing.T) *yaml.Node {
	t.Helper()
	var doc yaml.Node
	require.NoError(t, yaml.Unmarshal(OpenAPI, &doc))
	return doc.Content[0]
}
