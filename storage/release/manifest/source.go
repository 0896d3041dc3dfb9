package manifest

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDepth is how deep values may lie in one another: files need three, extra keys of signed manifests a few more.
const maxDepth = 16

// source is the text that nodes know their places in.
type source struct{ lines [][]rune }

func linesOf(raw []byte) [][]rune {
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(bytes.TrimPrefix(raw, []byte("\ufeff"))))
	var out [][]rune
	for line := range strings.SplitSeq(text, "\n") {
		out = append(out, []rune(line))
	}
	return out
}

// has reports whether there is text where a node says that it begins.
func (s source) has(n *yaml.Node) bool {
	return n.Line >= 1 && n.Line <= len(s.lines) && n.Column >= 1 && n.Column <= len(s.lines[n.Line-1])
}

// marked reports whether a question mark makes the key: older readers of YAML take one for a mark where newer ones take it for a
// part of the key.
func (s source) marked(key *yaml.Node) bool {
	if !s.has(key) {
		return true
	}
	at := key.Column - 2
	for ; at >= 0 && s.lines[key.Line-1][at] == ' '; at-- {
	}
	return at >= 0 && s.lines[key.Line-1][at] == '?'
}

// ends reports whether a text in quotes ends on the line that it begins on, and has no \' in double ones: readers join lines in quotes
// in different ways.
func (s source) ends(n *yaml.Node) bool {
	double := n.Style&yaml.DoubleQuotedStyle != 0
	if !double && n.Style&yaml.SingleQuotedStyle == 0 {
		return true
	}
	if !s.has(n) {
		return false
	}
	line := s.lines[n.Line-1][n.Column-1:]
	for i := 1; i < len(line); i++ {
		switch {
		case double && line[i] == '\\' && i+1 < len(line) && line[i+1] == '\'':
			return false // which only some readers know
		case double && line[i] == '\\', !double && line[i] == '\'' && i+1 < len(line) && line[i+1] == '\'':
			i++
		case line[i] == line[0]:
			return true
		}
	}
	return false
}

// plain refuses what makes work out of few bytes, and what two readers could understand in two ways.
func (s source) plain(n *yaml.Node, depth int, inFlow bool) error {
	switch {
	case depth > maxDepth:
		return fmt.Errorf("%w: line %d: too many levels", ErrInvalid, n.Line)
	case n.Kind == yaml.AliasNode, n.Anchor != "":
		return fmt.Errorf("%w: line %d: aliases and anchors are not allowed", ErrInvalid, n.Line)
	case n.Style&yaml.TaggedStyle != 0:
		return fmt.Errorf("%w: line %d: tags are not allowed", ErrInvalid, n.Line)
	}
	if err := s.strict(n, inFlow); err != nil {
		return err
	}
	inFlow = inFlow || n.Style&yaml.FlowStyle != 0
	seen := map[string]bool{}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if c.Kind != yaml.ScalarNode || c.Tag != "!!str" || seen[c.Value] || s.marked(c) || !s.ends(c) {
				return fmt.Errorf("%w: line %d: a key that stands there twice or is no plain text", ErrInvalid, c.Line)
			}
			seen[c.Value] = true
		}
		if err := s.plain(c, depth+1, inFlow); err != nil {
			return err
		}
	}
	return nil
}
