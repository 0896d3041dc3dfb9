package api

import (
	"context"
	"encoding/base64"
	"io"
	"reflect"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"gatehouse/storage/meta"
)

// The sizes of a page, and of the pages that make a CSV.
const (
	DefaultPage = 50
	MaxPage     = 200
	csvPage     = 1000
)

// csvTime bounds an export, which is paced by whoever reads it.
const csvTime = 30 * time.Minute

// Page is a part of a list: at most Limit items behind the one whose key is After, from the beginning when that is empty.
type Page struct {
	Limit int
	After string
}

// PageOf is what a list answers.
type PageOf[Item any] struct {
	Items []Item `json:"items"`
	// NextCursor leads on; null ends the list.
	NextCursor *string `json:"next_cursor" doc:"Hand it back as cursor for the next page; null on the last."`
}

// List makes the endpoint of a list. do gives the items of a page in the order of their keys; keyOf is an item's key.
// With format=csv everything is given, not a page.
func List[In, Item any](a *API, do func(context.Context, *Request, In, Page) ([]Item, error), keyOf func(Item) string) Endpoint {
	handler := func(c *fiber.Ctx) error {
		var in In
		if err := bind(c, &in, "limit", "cursor", "format"); err != nil {
			return err
		}
		page, err := pageOf(c)
		if err != nil {
			return err
		}
		r := a.request(c)
		switch c.Query("format") {
		case "", "json":
		case "csv":
			return sendCSV(c, page.After, func(ctx context.Context, p Page) ([]Item, error) { return do(ctx, r, in, p) }, keyOf)
		default:
			return malformed("format", "The format must be json or csv.", "format 必须是 json 或 csv。")
		}
		ctx, cancel := a.context(c)
		defer cancel()
		// One more than asked for tells whether there is a next page.
		items, err := do(ctx, r, in, Page{page.Limit + 1, page.After})
		if err != nil {
			return err
		}
		out := PageOf[Item]{Items: append([]Item{}, items[:min(len(items), page.Limit)]...)}
		if len(items) > page.Limit {
			next := encodeCursor(keyOf(items[page.Limit-1]))
			out.NextCursor = &next
		}
		return c.JSON(out)
	}
	return Endpoint{Handler: handler, In: reflect.TypeFor[In](), Out: reflect.TypeFor[PageOf[Item]](), Item: reflect.TypeFor[Item]()}
}

func pageOf(c *fiber.Ctx) (Page, error) {
	p := Page{Limit: DefaultPage}
	if s := c.Query("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > MaxPage {
			return p, malformed("limit", "The limit must be a number from 1 to 200.", "limit 必须是 1 到 200 之间的数字。")
		}
		p.Limit = n
	}
	if s := c.Query("cursor"); s != "" {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
		if err != nil || len(raw) < 3 || len(raw) > 1000 || string(raw[:2]) != cursorPrefix {
			return p, meta.ErrCursor
		}
		p.After = string(raw[2:])
	}
	return p, nil
}

// cursorPrefix versions the cursors, so that a later form can tell old ones apart.
const cursorPrefix = "2:"

func encodeCursor(key string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(cursorPrefix + key))
}

// sendCSV streams all pages of a list. A failure on the way cuts the connection: a file that ends too early must not look
// whole.
func sendCSV[Item any](c *fiber.Ctx, after string, next func(context.Context, Page) ([]Item, error), keyOf func(Item) string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.UserContext()), csvTime)
	first, err := next(ctx, Page{csvPage, after}) // what is wrong with the question is answered as an error
	if err != nil {
		cancel()
		return err
	}
	r, w := io.Pipe()
	go func() {
		defer cancel()
		w.CloseWithError(writeCSV(ctx, w, first, next, keyOf))
	}()
	c.Set(fiber.HeaderContentType, "text/csv; charset=utf-8; header=present")
	c.Set(fiber.HeaderContentDisposition, "attachment; filename=export.csv")
	c.Context().SetBodyStream(r, -1)
	return nil
}
