package api

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/stream"
	"gatehouse/storage"
)

// The tags of an input's fields. A field with one of the first two also has json:"-", so that a body cannot set it.
const (
	tagPath  = "path"
	tagQuery = "query"
)

// maxBody bounds the JSON of a call; an input with a method bodyLimit says itself.
const maxBody = 64 << 10

// maxParameter bounds one parameter of the query.
const maxParameter = 1000

// bind fills a struct from the request, strictly: a body where the struct takes one and nowhere else, no parameter that
// the struct does not have (a misspelt filter would be no filter). also are parameters that the caller reads itself.
func bind(c *fiber.Ctx, in any, also ...string) error {
	v := reflect.ValueOf(in).Elem()
	if takesBody(v.Type()) && hasBody(c) {
		limit := int64(maxBody)
		if larger, ok := in.(interface{ bodyLimit() int64 }); ok {
			limit = larger.bodyLimit()
		}
		if err := stream.ReadJSON(c, limit, in); err != nil {
			return err
		}
	}
	query, err := url.ParseQuery(string(c.Context().QueryArgs().QueryString()))
	if err != nil {
		return malformed("query", "The query of the address cannot be read.", "无法解析地址中的查询参数。")
	}
	known := slices.Clone(also)
	for f := range fields(v.Type()) {
		if name := f.Tag.Get(tagPath); name != "" {
			value, err := url.PathUnescape(c.Params(name)) // names have spaces
			if err == nil {
				err = set(v.FieldByIndex(f.Index), name, strings.Clone(value))
			}
			if err != nil {
				return storage.ErrNotFound // what cannot be an id does not exist
			}
		}
		name := f.Tag.Get(tagQuery)
		if name == "" {
			continue
		}
		known = append(known, name)
		if values, given := query[name]; given {
			if err := set(v.FieldByIndex(f.Index), name, values...); err != nil {
				return err
			}
		}
	}
	for name := range query {
		if !slices.Contains(known, name) {
			return storage.Refuse(storage.CodeMalformedRequest, storage.Details{"parameter": name}).Because(storage.Reason{
				Slug:    "parameter_unknown",
				English: fmt.Sprintf("There is no parameter %q here.", name),
				Chinese: fmt.Sprintf("此处没有参数 %q。", name),
			})
		}
	}
	return nil
}

// fields yields the fields of a struct, those of embedded ones too.
func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for _, f := range reflect.VisibleFields(t) {
			if !f.Anonymous && f.IsExported() && !yield(f) {
				return
			}
		}
	}
}

// takesBody reports whether a struct has fields that only a body can set.
func takesBody(t reflect.Type) bool {
	for f := range fields(t) {
		if tag := f.Tag.Get("json"); tag != "" && tag != "-" {
			return true
		}
	}
	return false
}

// hasBody: a call whose body has no required field may be made without one.
func hasBody(c *fiber.Ctx) bool { return c.Context().Request.Header.ContentLength() != 0 }

// set writes a parameter into a field. A list may be given as several parameters, or one with commas.
func set(v reflect.Value, name string, values ...string) error {
	for _, s := range values {
		if !utf8.ValidString(s) || len(s) > maxParameter || strings.ContainsRune(s, 0) {
			return badParameter(name, "text of at most "+strconv.Itoa(maxParameter)+" bytes")
		}
	}
	if v.Kind() == reflect.Slice {
		for _, s := range values {
			for part := range strings.SplitSeq(s, ",") {
				item := reflect.New(v.Type().Elem()).Elem()
				if err := set(item, name, strings.TrimSpace(part)); err != nil {
					return err
				}
				v.Set(reflect.Append(v, item))
			}
		}
		return nil
	}
	if len(values) != 1 {
		return badParameter(name, "one value")
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		return set(v.Elem(), name, values...)
	}
	return setOne(v, name, values[0])
}

func setOne(v reflect.Value, name, s string) error {
	if at, ok := v.Addr().Interface().(*time.Time); ok {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return badParameter(name, "a time like 2026-11-02T10:00:00Z")
		}
		*at = t
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return badParameter(name, "true or false")
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return badParameter(name, "a whole number")
		}
		v.SetInt(n)
	default:
		return fmt.Errorf("parameter %s: a %s cannot be read from an address", name, v.Type())
	}
	return nil
}

func badParameter(name, want string) error {
	return storage.Refuse(storage.CodeMalformedRequest, storage.Details{"parameter": name}).Because(storage.Reason{
		Slug:    "parameter",
		English: fmt.Sprintf("The parameter %s must be %s.", name, want),
		Chinese: fmt.Sprintf("参数 %s 的值无效（应为：%s）。", name, want),
	})
}
