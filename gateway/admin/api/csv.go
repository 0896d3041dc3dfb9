package api

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// writeCSV writes a header and all items, page by page.
func writeCSV[Item any](ctx context.Context, w io.Writer, items []Item, next func(context.Context, Page) ([]Item, error), keyOf func(Item) string) error {
	out := csv.NewWriter(w)
	columns := columnsOf(reflect.TypeFor[Item]())
	names := make([]string, len(columns))
	for i, f := range columns {
		names[i] = jsonName(f)
	}
	if err := out.Write(names); err != nil {
		return err
	}
	for len(items) > 0 {
		for _, item := range items {
			row := make([]string, len(columns))
			for i, f := range columns {
				cell, err := cellOf(reflect.ValueOf(item).FieldByIndex(f.Index))
				if err != nil {
					return fmt.Errorf("column %s: %w", names[i], err)
				}
				row[i] = cell
			}
			if err := out.Write(row); err != nil {
				return err
			}
		}
		out.Flush()
		if err := out.Error(); err != nil {
			return err
		}
		if len(items) < csvPage {
			return nil
		}
		var err error
		if items, err = next(ctx, Page{csvPage, keyOf(items[len(items)-1])}); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// columnsOf are the fields that JSON shows.
func columnsOf(t reflect.Type) []reflect.StructField {
	var out []reflect.StructField
	for f := range fields(t) {
		if jsonName(f) != "-" {
			out = append(out, f)
		}
	}
	return out
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "" {
		return f.Name
	}
	return name
}

// cellOf writes a value: text and numbers as they are, null as nothing, what is made of parts as JSON.
func cellOf(v reflect.Value) (string, error) {
	raw, err := json.Marshal(v.Interface())
	if err != nil {
		return "", err
	}
	var text string
	switch {
	case string(raw) == "null":
		return "", nil
	case json.Unmarshal(raw, &text) != nil:
		return string(raw), nil
	}
	// A spreadsheet would take such a cell for a formula, and names come from strangers (CWE-1236).
	if strings.ContainsAny(text[:min(1, len(text))], "=+-@\t\r") {
		return "'" + text, nil
	}
	return text, nil
}
