package manifest

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What yaml.v3 lets pass and js-yaml refuses: a client would read nothing of such a manifest and stay where it is. Found by changing
// manifests at random (node_test.go).

var (
	// blockHeader begins a text in lines of its own: |, >, how deep it lies, how it ends, and perhaps a remark.
	blockHeader = regexp.MustCompile(`^[|>](?:[1-9][-+]?|[-+][1-9]?)?(?:[ \t]+#.*|[ \t]*)$`)
	directive   = regexp.MustCompile(`^%YAML 1\.[12][ \t]*$`)
)

// directives refuses what stands before the document, but for its version.
func (s source) directives() error {
	for n, line := range s.lines {
		if len(line) > 0 && line[0] == '%' && !directive.MatchString(string(line)) {
			return fmt.Errorf("%w: line %d: begins with a percent sign", ErrInvalid, n+1)
		}
	}
	return nil
}

// strict refuses a value that only some readers take.
func (s source) strict(n *yaml.Node, inFlow bool) error {
	switch {
	case n.Kind == yaml.ScalarNode && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		if !s.has(n) {
			return fmt.Errorf("%w: line %d: a text of lines whose beginning is not found", ErrInvalid, n.Line)
		}
		line := s.lines[n.Line-1]
		if before := string(line[:n.Column-1]); strings.TrimSpace(before) == "" || !blockHeader.MatchString(string(line[n.Column-1:])) {
			return fmt.Errorf("%w: line %d: | and > stand behind their key, and nothing but a remark behind them", ErrInvalid, n.Line)
		}
	case n.Kind == yaml.ScalarNode && n.Style&yaml.DoubleQuotedStyle != 0 && !s.ends(n):
		return fmt.Errorf("%w: line %d: a text in double quotes must end on the line that it begins on, and must not escape a single quote", ErrInvalid, n.Line)
	case n.Kind == yaml.ScalarNode && inFlow && n.Style == 0 && isMark(n.Value):
		return fmt.Errorf("%w: line %d: the value %q within brackets must be in quotes", ErrInvalid, n.Line, n.Value)
	case n.Kind != yaml.ScalarNode && n.Style&yaml.FlowStyle != 0 && !inFlow && !s.closes(n):
		return fmt.Errorf("%w: line %d: brackets must end on the line that they begin on", ErrInvalid, n.Line)
	}
	return nil
}

// isMark reports whether some reader takes a value within brackets, or its end, for a mark of YAML.
func isMark(v string) bool { return strings.HasSuffix(v, ":") || v == "-" || v == "?" }

// closes reports whether what a bracket opens ends on the same line.
func (s source) closes(n *yaml.Node) bool {
	if !s.has(n) {
		return false
	}
	depth, quote := 0, rune(0)
	line := s.lines[n.Line-1][n.Column-1:]
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quote == '"' && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return true
			}
		}
	}
	return false
}
