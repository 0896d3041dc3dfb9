package configs

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The configuration is seen as a tree: structs and maps are its branches, everything else is a leaf with a text
// form. One pair of functions (setText, text) reads and writes leaves for the file, the environment and Print.

// categoryNames are the categories the program knows; storage.Category has the same.
var categoryNames = []string{"image", "video", "document", "release"}

func isBranch(t reflect.Type) bool {
	return t.Kind() == reflect.Map || t.Kind() == reflect.Struct && t != reflect.TypeFor[netip.Prefix]()
}

// fieldFor finds the field of a struct type by its key.
func fieldFor(t reflect.Type, key string) (int, bool) {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("yaml") == key && key != "" {
			return i, true
		}
	}
	return 0, false
}

// keysOf lists the keys of a branch: of a struct in order of declaration, of a map sorted.
func keysOf(v reflect.Value) []string {
	var keys []string
	if v.Kind() == reflect.Map {
		for _, k := range v.MapKeys() {
			keys = append(keys, k.String())
		}
		slices.Sort(keys)
		return keys
	}
	for i := range v.NumField() {
		if key := v.Type().Field(i).Tag.Get("yaml"); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// child returns what lies under a key of a branch; for a key that a map does not have, a zero value.
func child(v reflect.Value, key string) (reflect.Value, bool) {
	if v.Kind() == reflect.Map {
		if c := v.MapIndex(reflect.ValueOf(key)); c.IsValid() {
			return c, true
		}
		return reflect.Zero(v.Type().Elem()), false
	}
	i, ok := fieldFor(v.Type(), key)
	if !ok {
		return reflect.Value{}, false
	}
	return v.Field(i), true
}

// update lets fn change what lies under a key. Map elements cannot be changed in place: they are copied and put
// back. v is addressable; the key of a struct exists.
func update(v reflect.Value, key string, fn func(reflect.Value)) {
	if v.Kind() != reflect.Map {
		c, _ := child(v, key)
		fn(c)
		return
	}
	c := reflect.New(v.Type().Elem()).Elem()
	old, _ := child(v, key)
	c.Set(old)
	fn(c)
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	v.SetMapIndex(reflect.ValueOf(key), c)
}

// leaf is one key that can be set.
type leaf struct {
	path  []string
	value reflect.Value
}

func (l leaf) name() string   { return strings.Join(l.path, ".") }
func (l leaf) isSecret() bool { return l.value.Type() == reflect.TypeFor[Secret]() }

// pattern is the name with the keys of maps replaced by a star: plans.*.storage_bytes.
func (l leaf) pattern() string {
	parts := slices.Clone(l.path)
	if parts[0] == "plans" || parts[0] == "categories" {
		parts[1] = "*"
	}
	if len(parts) == 4 && parts[0] == "plans" {
		parts[3] = "*"
	}
	if len(parts) == 4 && parts[0] == "alerts" {
		parts[2] = "*" // the name of a channel
	}
	return strings.Join(parts, ".")
}

// leaves lists every key that is there, in order. With settable, also those that a PerCategory could have.
func leaves(c *Config, settable bool) []leaf {
	var out []leaf
	var walk func(v reflect.Value, path []string)
	walk = func(v reflect.Value, path []string) {
		if !isBranch(v.Type()) {
			out = append(out, leaf{slices.Clone(path), v})
			return
		}
		keys := keysOf(v)
		if settable && v.Type() == reflect.TypeFor[PerCategory]() {
			keys = categoryNames
		}
		for _, k := range keys {
			c, _ := child(v, k)
			walk(c, append(path, k))
		}
	}
	walk(reflect.ValueOf(c).Elem(), nil)
	return out
}

// setPath sets the leaf at a path that exists or could exist.
func setPath(v reflect.Value, path []string, s string) (err error) {
	if len(path) == 0 {
		return setText(v, s)
	}
	update(v, path[0], func(c reflect.Value) { err = setPath(c, path[1:], s) })
	return err
}

// setText reads a leaf. It leaves the value alone when it returns an error.
func setText(v reflect.Value, s string) error {
	switch p := v.Addr().Interface().(type) {
	case *string:
		*p = s
	case *Secret:
		*p = Secret(s)
	case *bool:
		return into(p, s, parseBool)
	case *Bytes:
		return into(p, s, ParseBytes)
	case *time.Duration:
		return into(p, s, parseDuration)
	case *int:
		return into(p, s, parseInt[int])
	case *int64:
		return into(p, s, parseInt[int64])
	case *Share:
		return into(p, s, parseShare)
	case *netip.Prefix:
		return into(p, s, parsePrefix)
	case *ImagePreset:
		return into(p, s, parseImagePreset)
	case *VideoPreset:
		return into(p, s, parseVideoPreset)
	default:
		if v.Kind() != reflect.Slice {
			return fmt.Errorf("no text form for %s", v.Type())
		}
		return setList(v, splitList(s))
	}
	return nil
}

func into[T any](p *T, s string, parse func(string) (T, error)) error {
	x, err := parse(s)
	if err == nil {
		*p = x
	}
	return err
}

func parseInt[T int | int64](s string) (T, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || int64(T(n)) != n {
		return 0, errors.New("a whole number is expected")
	}
	return T(n), nil
}

func splitList(s string) []string {
	if strings.TrimSpace(s) == "" {
		return nil
	}
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

func setList(v reflect.Value, parts []string) error {
	list := reflect.MakeSlice(v.Type(), len(parts), len(parts))
	for i, part := range parts {
		if part == "" {
			return errors.New("a list without empty elements is expected")
		}
		if err := setText(list.Index(i), part); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

// text writes a leaf as setText reads it, except that a secret is masked.
func text(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return formatDuration(x)
	default:
		if v.Kind() != reflect.Slice {
			return fmt.Sprint(x)
		}
	}
	parts := make([]string, v.Len())
	for i := range parts {
		parts[i] = text(v.Index(i))
	}
	return strings.Join(parts, ",")
}
