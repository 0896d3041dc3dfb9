package configs

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fileLayer applies a YAML document to the configuration, node by node, so that every problem has its line.
type fileLayer struct {
	*loader
	source string
}

func (f *fileLayer) origin(n *yaml.Node) string {
	if f.source == "" {
		return ""
	}
	return fmt.Sprintf("%s line %d", f.source, n.Line)
}

func (f *fileLayer) wrong(path []string, n *yaml.Node, allowed string) {
	p := Problem{Key: strings.Join(path, "."), Origin: f.origin(n), Allowed: allowed}
	if p.Key == "" {
		p.Key = "the file"
	}
	f.problem(p)
}

// apply puts a node on a branch or leaf. It is as deep as the types are, whatever the document does with aliases.
func (f *fileLayer) apply(v reflect.Value, n *yaml.Node, path []string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Tag == "!!null":
		f.wrong(path, n, `a value is expected; write "" for an empty one, or leave the key out for the default`)
	case isBranch(v.Type()):
		f.branch(v, n, path)
	default:
		f.leaf(v, n, path)
	}
}

func (f *fileLayer) branch(v reflect.Value, n *yaml.Node, path []string) {
	if n.Kind != yaml.MappingNode {
		f.wrong(path, n, "keys with values are expected here")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		at := append(path[:len(path):len(path)], key)
		if seen[key] {
			f.wrong(at, n.Content[i], "the key stands here twice")
			continue
		}
		seen[key] = true
		if v.Kind() == reflect.Map {
			f.entry(v, key, value, at)
			continue
		}
		if _, ok := child(v, key); !ok || key == "" {
			f.wrong(at, n.Content[i], "unknown key"+didYouMean(key, keysOf(v)))
			continue
		}
		update(v, key, func(c reflect.Value) { f.apply(c, value, at) })
	}
	if v.Kind() == reflect.Map && v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
}

// entry sets or, by null, removes one entry of a map.
func (f *fileLayer) entry(v reflect.Value, key string, n *yaml.Node, path []string) {
	switch {
	case !slug.MatchString(key):
		f.wrong(path, n, "a name of "+slugRule+" is expected")
	case n.Tag == "!!null":
		if !v.IsNil() {
			v.SetMapIndex(reflect.ValueOf(key), reflect.Value{})
			f.remember(path, n)
		}
	default:
		update(v, key, func(c reflect.Value) { f.apply(c, n, path) })
	}
}

func (f *fileLayer) leaf(v reflect.Value, n *yaml.Node, path []string) {
	var err error
	switch {
	case v.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		f.list(v, n, path)
		return
	case v.Kind() == reflect.Slice:
		f.wrong(path, n, "a list is expected: [a, b]")
		return
	case n.Kind != yaml.ScalarNode:
		f.wrong(path, n, "a single value is expected")
		return
	default:
		err = setText(v, n.Value)
	}
	if err != nil {
		f.badValue(leaf{path, v}, n, err)
		return
	}
	f.remember(path, n)
}

func (f *fileLayer) list(v reflect.Value, n *yaml.Node, path []string) {
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		at := append(path[:len(path):len(path)], fmt.Sprint(i))
		elem := list.Index(i)
		switch {
		case item.Kind == yaml.MappingNode && isBranch(elem.Type()):
			f.branch(elem, item, at)
		case item.Kind != yaml.ScalarNode || item.Value == "":
			f.wrong(at, item, "a single value is expected")
		default:
			if err := setText(elem, item.Value); err != nil {
				f.badValue(leaf{at, elem}, item, err)
			}
		}
	}
	v.Set(list)
	f.remember(path, n)
}

func (f *fileLayer) badValue(l leaf, n *yaml.Node, err error) {
	p := Problem{Key: l.name(), Value: n.Value, Origin: f.origin(n), Allowed: err.Error()}
	if l.isSecret() {
		p.Value = mask
	}
	f.problem(p)
}

func (f *fileLayer) remember(path []string, n *yaml.Node) {
	if origin := f.origin(n); origin != "" {
		f.cfg.origins[strings.Join(path, ".")] = origin
	}
}
