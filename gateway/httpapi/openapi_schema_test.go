package httpapi

import (
	"encoding"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// shape is a type on its way in or out: an answer has all its fields, an input those that the caller gives.
type shape struct {
	of reflect.Type
	in bool
}

// schemas describes Go types as encoding/json writes and reads them.
type schemas struct {
	t     *testing.T
	names map[shape]string
	made  map[string]*yaml.Node
	// consts are the typed text constants of a folder, by the name of their type.
	consts map[string]map[string][]string
}

func newSchemas(t *testing.T) *schemas {
	return &schemas{t: t, names: map[shape]string{}, made: map[string]*yaml.Node{}, consts: map[string]map[string][]string{}}
}

// components are all schemas by name.
func (s *schemas) components() *yaml.Node {
	n := mapping()
	for _, name := range slices.Sorted(maps.Keys(s.made)) {
		put(n, name, s.made[name])
	}
	return n
}

func (s *schemas) of(t reflect.Type, in bool) *yaml.Node {
	switch t {
	case reflect.TypeFor[time.Time]():
		return flow(mapping("type", "string", "format", "date-time"))
	case reflect.TypeFor[time.Duration]():
		return flow(mapping("type", "integer", "format", "int64", "description", "Nanoseconds."))
	case reflect.TypeFor[json.RawMessage]():
		return s.anything()
	case reflect.TypeFor[[]byte]():
		return flow(mapping("type", "string", "contentEncoding", "base64"))
	}
	if t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return flow(mapping("type", "string"))
	}
	if t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface {
		require.False(s.t, reflect.PointerTo(t).Implements(reflect.TypeFor[json.Marshaler]()), "say here how %s is written", t)
	}
	switch t.Kind() {
	case reflect.Pointer:
		if in {
			return s.of(t.Elem(), in)
		}
		return nullable(s.of(t.Elem(), in))
	case reflect.Interface:
		return s.anything()
	case reflect.Bool:
		return flow(mapping("type", "boolean"))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return flow(mapping("type", "integer"))
	case reflect.Int64, reflect.Uint64, reflect.Uint:
		return flow(mapping("type", "integer", "format", "int64"))
	case reflect.Float32, reflect.Float64:
		return flow(mapping("type", "number"))
	case reflect.String:
		words := s.constants(t)
		if !in && len(words) > 0 && !slices.Contains(words, "") {
			words = append(words, "") // what has none
		}
		return flow(mapping("type", "string", "enum", words))
	case reflect.Slice, reflect.Array:
		return mapping("type", "array", "items", s.of(t.Elem(), in))
	case reflect.Map:
		return mapping("type", "object", "additionalProperties", s.of(t.Elem(), in))
	case reflect.Struct:
		if t.Name() == "" {
			return s.structOf(t, in)
		}
		return s.component(t, in)
	}
	require.Fail(s.t, "no schema", "%s of kind %s", t, t.Kind())
	return nil
}

// anything is a schema for what may be any JSON. An empty one would do, but kin-openapi takes that for one without null.
func (s *schemas) anything() *yaml.Node {
	s.made[anything] = flow(mapping("description", "Any JSON.", "type", []string{"null", "boolean", "number", "string", "array", "object"}))
	return ref("schemas", anything)
}

const anything = "Anything"

func (s *schemas) component(t reflect.Type, in bool) *yaml.Node {
	key := shape{t, in}
	name, known := s.names[key]
	if !known {
		name = s.nameOf(t, in)
		s.names[key], s.made[name] = name, nil // before its fields: one may be of the same type
		s.made[name] = s.structOf(t, in)
	}
	return ref("schemas", name)
}

// nameOf is the type's name, and more of it where another schema has that already. PageOf[PlanView] is PlanPage.
func (s *schemas) nameOf(t reflect.Type, in bool) string {
	name, item, generic := strings.Cut(t.Name(), "[")
	if generic {
		item = strings.TrimSuffix(item, "]")
		name = plain(item[strings.LastIndex(item, ".")+1:]) + strings.TrimSuffix(name, "Of")
	}
	name = plain(name)
	candidates := []string{name, title(filepath.Base(t.PkgPath())) + name}
	if in {
		candidates = []string{name, name + "Input", candidates[1] + "Input"}
	}
	for _, c := range candidates {
		if _, taken := s.made[c]; !taken && !slices.Contains([]string{"Error", "Code", anything}, c) {
			return c
		}
	}
	require.Fail(s.t, "no name is free", "%s: give the type another name", t)
	return ""
}

// plain is a name without what only Go needs in it.
func plain(name string) string {
	if short := strings.TrimSuffix(name, "View"); short != "" {
		name = short
	}
	return title(name)
}

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func (s *schemas) structOf(t reflect.Type, in bool) *yaml.Node {
	properties, required := mapping(), []string(nil)
	for _, f := range jsonFields(t, in, true) {
		typ := f.Type
		if typ.Kind() == reflect.Pointer && f.omitted {
			typ = typ.Elem() // nil is not written as null
		}
		p := described(s.of(typ, in), f.Tag.Get("doc"), f.Tag.Get("enum"))
		put(properties, f.name, p)
		if f.required {
			required = append(required, f.name)
		}
	}
	if len(properties.Content) == 0 {
		properties = nil
	}
	return mapping("type", "object", "additionalProperties", false, "required", required, "properties", properties)
}

// described adds what a field's tags say to its schema.
func described(schema *yaml.Node, doc, enum string) *yaml.Node {
	target := schema
	if items := get(schema, "items"); items != nil {
		target = items
	}
	if enum != "" && get(target, "enum") == nil {
		put(target, "enum", strings.Split(enum, ","))
	}
	if doc == "" {
		return schema
	}
	if get(schema, "$ref") != nil {
		schema = mapping("allOf", []*yaml.Node{schema})
	}
	put(schema, "description", doc)
	return schema
}

// nullable lets a schema be null too.
func nullable(schema *yaml.Node) *yaml.Node {
	kind := get(schema, "type")
	switch {
	case kind == nil || get(schema, "enum") != nil:
		return mapping("anyOf", []*yaml.Node{schema, flow(mapping("type", "null"))})
	}
	*kind = *node([]string{kind.Value, "null"})
	return schema
}

type jsonField struct {
	reflect.StructField
	name     string
	required bool
	// omitted: it is not written when it is empty.
	omitted bool
}

// jsonFields are the fields of a struct as encoding/json sees them; those of embedded structs are its own. Of an input they
// are those that a body may set.
func jsonFields(t reflect.Type, in, always bool) []jsonField {
	var out []jsonField
	own := map[string]bool{}
	for i := range t.NumField() {
		if f := t.Field(i); !f.Anonymous {
			own[nameIn(f)] = true
		}
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			inner, pointer := f.Type, false
			if inner.Kind() == reflect.Pointer {
				inner, pointer = inner.Elem(), true
			}
			for _, e := range jsonFields(inner, in, always && !pointer) {
				if !own[e.name] {
					out = append(out, e)
				}
			}
			continue
		}
		if !f.IsExported() || name == "-" || (in && name == "") {
			continue
		}
		omitted := strings.Contains(options, "omit")
		required := always && !omitted
		if in {
			required = f.Tag.Get("required") == "true"
		}
		out = append(out, jsonField{f, nameIn(f), required, omitted})
	}
	return out
}

func nameIn(f reflect.StructField) string {
	if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
		return name
	}
	return f.Name
}

// constants are the values that a type of ours has names for, in their order; none for string itself.
func (s *schemas) constants(t reflect.Type) []string {
	folder, ours := strings.CutPrefix(t.PkgPath(), "gatehouse/")
	if !ours {
		return nil
	}
	if s.consts[folder] == nil {
		s.consts[folder] = map[string][]string{}
		files, err := filepath.Glob(filepath.Join("..", "..", folder, "*.go"))
		require.NoError(s.t, err)
		for _, name := range files {
			if !strings.HasSuffix(name, "_test.go") {
				s.readConstants(name, s.consts[folder])
			}
		}
	}
	return s.consts[folder][t.Name()]
}

func (s *schemas) readConstants(name string, into map[string][]string) {
	source, err := os.ReadFile(name)
	require.NoError(s.t, err)
	file, err := parser.ParseFile(token.NewFileSet(), name, source, 0)
	require.NoError(s.t, err)
	for _, d := range file.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.CONST {
			continue
		}
		for _, spec := range decl.Specs {
			v := spec.(*ast.ValueSpec)
			typ, ok := v.Type.(*ast.Ident)
			if !ok {
				continue
			}
			for _, value := range v.Values {
				if lit, ok := value.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					text, err := strconv.Unquote(lit.Value)
					require.NoError(s.t, err)
					into[typ.Name] = append(into[typ.Name], text)
				}
			}
		}
	}
}
