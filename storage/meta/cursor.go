package meta

import (
	"encoding/base64"

	"github.com/google/uuid"

	"gatehouse/storage"
)

// cursorPrefix versions the cursor, so that a later form can tell old ones apart.
const cursorPrefix = "1:"

// ErrCursor refuses a cursor that no list has given out.
var ErrCursor = storage.Refuse(storage.CodeMalformedRequest, nil).Because(storage.Reason{
	Slug:    "cursor",
	English: "The cursor is not one that this list has given out; start again without it.",
	Chinese: "游标不是由此列表给出的；请不带游标重新开始。",
})

// EncodeCursor hides the id of the last item of a page: callers hand it back as it is.
func EncodeCursor(id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(cursorPrefix + id))
}

// DecodeCursor gives the id back; anything that EncodeCursor did not make is MALFORMED_REQUEST.
func DecodeCursor(cursor string) (string, error) {
	if len(cursor) > 128 {
		return "", ErrCursor
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) < len(cursorPrefix) || string(raw[:len(cursorPrefix)]) != cursorPrefix {
		return "", ErrCursor
	}
	id, err := uuid.Parse(string(raw[len(cursorPrefix):]))
	if err != nil || id.String() != string(raw[len(cursorPrefix):]) {
		return "", ErrCursor
	}
	return id.String(), nil
}
