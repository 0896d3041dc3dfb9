package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// The kinds of value: what JSON they are.
const (
	KindBool     = "boolean"
	KindText     = "text"
	KindNumber   = "number"
	KindClock    = "time_of_day"
	KindDuration = "duration"
)

// Kind is what values of the setting look like.
func (s Setting) Kind() string {
	switch s.field(&Values{}).(type) {
	case *bool:
		return KindBool
	case *int64:
		return KindNumber
	case *Clock:
		return KindClock
	case *time.Duration:
		return KindDuration
	}
	return KindText
}

// Of is the setting's value among all, as JSON.
func (s Setting) Of(v Values) json.RawMessage {
	p := s.field(&v)
	if d, ok := p.(*time.Duration); ok {
		text := d.String() // 4h0m0s
		if strings.HasSuffix(text, "m0s") {
			text = strings.TrimSuffix(text, "0s")
		}
		if strings.HasSuffix(text, "h0m") {
			text = strings.TrimSuffix(text, "0m")
		}
		p = text
	}
	raw, err := json.Marshal(p)
	if err != nil {
		panic(err) // booleans, numbers and texts can be written
	}
	return raw
}

// Put sets the value. An error says what is wrong with it, in words for the caller.
func (s Setting) Put(v *Values, raw json.RawMessage) error {
	switch p := s.field(v).(type) {
	case *bool:
		return s.decode(raw, p, "true or false is expected")
	case *int64:
		return s.putNumber(raw, p)
	case *Clock:
		return s.putClock(raw, p)
	case *time.Duration:
		return s.putDuration(raw, p)
	case *string:
		return s.putText(raw, p)
	default:
		return fmt.Errorf("setting %s: a %T cannot be set", s.Name, p)
	}
}

func (s Setting) decode(raw json.RawMessage, into any, want string) error {
	if string(raw) == "null" || json.Unmarshal(raw, into) != nil {
		return errors.New(want)
	}
	return nil
}

func (s Setting) putNumber(raw json.RawMessage, p *int64) error {
	want := fmt.Sprintf("a whole number from %d to %d is expected", s.Least, s.Most)
	var n int64
	if err := s.decode(raw, &n, want); err != nil {
		return err
	}
	if n < s.Least || n > s.Most {
		return errors.New(want)
	}
	*p = n
	return nil
}

func (s Setting) putClock(raw json.RawMessage, p *Clock) error {
	const want = "a time of day from 00:00 to 23:59 is expected"
	var text string
	if err := s.decode(raw, &text, want); err != nil {
		return err
	}
	if _, err := time.Parse("15:04", text); err != nil || len(text) != len("15:04") {
		return errors.New(want)
	}
	*p = Clock(text)
	return nil
}

func (s Setting) putDuration(raw json.RawMessage, p *time.Duration) error {
	least, most := time.Duration(s.Least)*time.Second, time.Duration(s.Most)*time.Second
	want := fmt.Sprintf("a duration like 4h or 90m, from %s to %s, is expected", least, most)
	var text string
	if err := s.decode(raw, &text, want); err != nil {
		return err
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < least || d > most {
		return errors.New(want)
	}
	*p = d
	return nil
}

func (s Setting) putText(raw json.RawMessage, p *string) error {
	want := fmt.Sprintf("one line of text of at most %d bytes is expected", s.Most)
	var text string
	if err := s.decode(raw, &text, want); err != nil {
		return err
	}
	if int64(len(text)) > s.Most || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }) {
		return errors.New(want)
	}
	*p = text
	return nil
}
