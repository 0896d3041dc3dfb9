package meta

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"gorm.io/gorm/schema"
)

// exported is THE list of what an export of the database holds: every table but the one of the migrations, in an order
// in which each row comes after those it speaks of. A test compares it with the schema.
func exported() []any {
	return []any{
		&Plan{}, &TenantRow{}, &APIKey{}, &Blob{}, &Asset{}, &Variant{}, &Reservation{}, &IdempotencyKey{}, &Task{}, &Event{},
		&AuditRecord{}, &AuditSeal{}, &AuditCheckpoint{}, &AuditArchive{}, &AuditChain{}, &AuditState{},
		&Fact{}, &ReconcileRun{}, &ReconcileFinding{}, &ReconcileMark{}, &Alert{}, &Notice{},
		&Operator{}, &OperatorPassword{}, &RecoveryCode{}, &OperatorLink{}, &OperatorSession{}, &OperatorToken{},
		&OperatorAttempt{}, &OperatorNetwork{},
		&StatHour{}, &TenantDay{}, &TenantActivity{},
		&Setting{}, &OperatorAddress{},
		&TaskAttempt{}, &LanePause{}, &BulkRun{},
		&ClientRelease{}, &ReleaseArtifact{}, &ReleaseDigests{}, &DeviceToken{}, &ReleaseDevice{}, &ReleaseRollup{},
	}
}

// Table is one table as an export sees it.
type Table struct {
	Name string
	// Key are the columns of the primary key, in order.
	Key []string

	model  reflect.Type
	line   reflect.Type // the model with the columns' names for JSON
	fields []*schema.Field
	key    []*schema.Field
	serial *schema.Field
}

// Tables lists all tables of an export, in the order of THE list.
func Tables() ([]Table, error) {
	var out []Table
	var seen sync.Map
	for _, model := range exported() {
		s, err := schema.Parse(model, &seen, schema.NamingStrategy{})
		if err != nil {
			return nil, fmt.Errorf("model %T: %w", model, err)
		}
		t := Table{Name: s.Table, model: s.ModelType, fields: s.Fields, key: s.PrimaryFields}
		var lines []reflect.StructField
		for _, f := range s.Fields {
			tag := reflect.StructTag(`json:"` + f.DBName + `"`)
			lines = append(lines, reflect.StructField{Name: f.Name, Type: f.FieldType, Tag: tag})
			if f.AutoIncrement && f.PrimaryKey {
				t.serial = f
			}
		}
		for _, f := range s.PrimaryFields {
			t.Key = append(t.Key, f.DBName)
		}
		t.line = reflect.StructOf(lines)
		out = append(out, t)
	}
	return out, nil
}

// Columns are the names of the table's columns, in the order of the model.
func (t Table) Columns() []string {
	out := make([]string, len(t.fields))
	for i, f := range t.fields {
		out[i] = f.DBName
	}
	return out
}

// New makes an empty row: a pointer to the table's model.
func (t Table) New() any { return reflect.New(t.model).Interface() }

// KeyOf is the primary key of a row.
func (t Table) KeyOf(row any) []any {
	v := reflect.ValueOf(row).Elem()
	out := make([]any, len(t.key))
	for i, f := range t.key {
		out[i] = v.FieldByIndex(f.StructField.Index).Interface()
	}
	return out
}

// Serial is the number that the database gave a row, and false for tables without one.
func (t Table) Serial(row any) (int64, bool) {
	if t.serial == nil {
		return 0, false
	}
	return reflect.ValueOf(row).Elem().FieldByIndex(t.serial.StructField.Index).Int(), true
}

// rawPrefix begins the line of a row with texts that are no UTF-8, which JSON cannot hold: they follow by column, in
// Base64, before the row itself.
const rawPrefix = `{"_raw":`

// Encode writes a row as a line of JSON with its newline. Integers keep all their digits and texts all their bytes.
func (t Table) Encode(row any) ([]byte, error) {
	v := reflect.ValueOf(row)
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v.Convert(reflect.PointerTo(t.line)).Interface()); err != nil {
		return nil, fmt.Errorf("row %v of %s: %w", t.KeyOf(row), t.Name, err)
	}
	raw := map[string][]byte{}
	t.texts(v.Elem(), func(column string, text reflect.Value) {
		if s := text.String(); !utf8.ValidString(s) {
			raw[column] = []byte(s)
		}
	})
	if len(raw) == 0 {
		return buf.Bytes(), nil
	}
	head, err := json.Marshal(raw)
	if err != nil {
		return nil, err
	}
	return slices.Concat([]byte(rawPrefix), head, []byte(","), buf.Bytes()[1:]), nil
}

// texts gives every text of a row to fn, settable.
func (t Table) texts(row reflect.Value, fn func(column string, text reflect.Value)) {
	for _, f := range t.fields {
		v := row.FieldByIndex(f.StructField.Index)
		if v.Kind() == reflect.Pointer && !v.IsNil() {
			v = v.Elem()
		}
		if v.Kind() == reflect.String {
			fn(f.DBName, v)
		}
	}
}

// Decode reads what Encode wrote, as a pointer to the table's model. Columns that are missing are zero, as their
// migrations leave them in old rows; what a migration computes (the tenants' sums) the caller computes from the rows.
// With strict set an unknown column is an error.
func (t Table) Decode(line []byte, strict bool) (any, error) {
	into := reflect.New(t.line)
	line, raw, err := cutRaw(line)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(line))
	if strict {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(into.Interface()); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("more than one value in the line")
	}
	row := into.Convert(reflect.PointerTo(t.model))
	t.texts(row.Elem(), func(column string, text reflect.Value) {
		if b, ok := raw[column]; ok {
			text.SetString(string(b))
		}
	})
	return row.Interface(), nil
}

// cutRaw takes the texts that are no UTF-8 off a line.
func cutRaw(line []byte) (rest []byte, raw map[string][]byte, err error) {
	rest, ok := bytes.CutPrefix(line, []byte(rawPrefix))
	if !ok {
		return line, nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(rest))
	if err := d.Decode(&raw); err != nil {
		return nil, nil, err
	}
	rest, ok = bytes.CutPrefix(rest[d.InputOffset():], []byte(","))
	if !ok {
		return nil, nil, fmt.Errorf("no row follows %s", rawPrefix)
	}
	return append([]byte("{"), rest...), raw, nil
}

// Fit changes texts that a kind of database cannot hold: SQLite takes any bytes, the others only UTF-8, PostgreSQL no
// NUL. It reports whether it had to.
func (t Table) Fit(row any, d Dialect) bool {
	if d == SQLite {
		return false
	}
	changed := false
	t.texts(reflect.ValueOf(row).Elem(), func(_ string, text reflect.Value) {
		s := strings.ToValidUTF8(text.String(), "\uFFFD")
		if d == Postgres {
			s = strings.ReplaceAll(s, "\x00", "")
		}
		if s != text.String() {
			text.SetString(s)
			changed = true
		}
	})
	return changed
}
