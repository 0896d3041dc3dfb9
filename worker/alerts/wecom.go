package alerts

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/storage/meta"
)

// https://developer.work.weixin.qq.com/document/path/91770: a robot takes 20 messages a minute, a text has at most
// 2048 bytes, and a message that was not taken is answered with 200 and an errcode.
const (
	weComMost  = 20
	weComBytes = 2048
	// weComFull is the errcode of too many messages.
	weComFull = 45009
	// weComWindow is their minute and what the robot's minute may differ from ours: a request takes up to postTime to
	// arrive, and the clocks of workers differ by seconds.
	weComWindow = time.Minute + postTime + 5*time.Second
)

// weCom sends texts to a robot of a WeCom group. What is due at the same time goes out as one text.
type weCom struct {
	poster
	db *meta.DB
	// robot names the robot in the database; channels with the same address share its budget.
	robot string
	now   func() meta.Stamp
}

func newWeCom(c ChannelConfig, db *meta.DB, now func() meta.Stamp) (*weCom, error) {
	p, err := newPoster(c.Name, c.URL, c.Secret)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(c.URL))
	return &weCom{poster: p, db: db, robot: "wecom." + hex.EncodeToString(sum[:16]), now: now}, nil
}

// batch is as many as can be claimed within a second or so; a flood of them is still one text.
func (w *weCom) batch() int { return 1000 }

func (w *weCom) deliver(ctx context.Context, list []message) (string, error) {
	after, err := w.db.Spend(ctx, w.robot, w.now(), weComWindow, weComMost)
	switch {
	case err != nil:
		return "", fmt.Errorf("ask for a place among the robot's messages: %w", err)
	case after > 0:
		return "", &wait{after}
	}
	body, err := json.Marshal(map[string]any{"msgtype": "text", "text": map[string]string{"content": weComText(list)}})
	if err != nil {
		return "", err
	}
	status, answer, err := w.post(ctx, body, nil)
	if err != nil {
		return "", err
	}
	if err := statusFailure(status, answer); err != nil {
		return "", err
	}
	var said struct {
		Code    *int   `json:"errcode"`
		Message string `json:"errmsg"`
	}
	if err := json.Unmarshal([]byte(answer), &said); err != nil || said.Code == nil {
		return "", &failure{problem: fmt.Sprintf("HTTP %d without an errcode: is it the address of a WeCom robot?", status)}
	}
	said.Message = w.hide.Replace(oneLine(said.Message)) // JSON may have had it in disguise
	if *said.Code != 0 {
		f := &failure{problem: fmt.Sprintf("errcode %d: %s", *said.Code, clip(said.Message, 200))}
		if *said.Code == weComFull {
			f.pause = time.Minute
		}
		return "", f
	}
	return fmt.Sprintf("HTTP %d: errcode 0 %s", status, clip(said.Message, 100)), nil
}

// weComText writes messages as one text: the worst first and of these one of each rule in turn, what does not fit as a
// number.
func weComText(list []message) string {
	if len(list) == 1 {
		e := list[0].Event
		foot := fmt.Sprintf("\nrule %s, since %s\nid %s", e.Alert.Rule, at(e.Alert.OpenedAt), e.Alert.ID)
		return clip("Gatehouse "+line(e), weComBytes-len(foot)) + foot
	}
	list = inTurn(list)
	var text strings.Builder
	fmt.Fprintf(&text, "Gatehouse: %d messages", len(list))
	for i, m := range list {
		const lineBytes = 360 // five or more lines fit
		line := "\n- " + clip(line(m.Event), lineBytes)
		more := fmt.Sprintf("\n… and %d more: `worker alerts list`", len(list)-i)
		if text.Len()+len(line)+len(more) > weComBytes {
			text.WriteString(more)
			break
		}
		text.WriteString(line)
	}
	return text.String()
}

// inTurn orders messages: the worst first, and of the same weight the first of each rule, then the second of each: many
// of one rule must not hide the others.
func inTurn(list []message) []message {
	type group struct {
		weight int
		rule   string
	}
	turn, of := map[string]int{}, map[group]int{}
	for _, m := range list {
		g := group{weight(m.Event), m.Event.Alert.Rule}
		turn[m.ID] = of[g]
		of[g]++
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b message) int {
		return cmp.Or(weight(b.Event)-weight(a.Event), turn[a.ID]-turn[b.ID])
	})
	return list
}

// weight orders events within one text: what is over comes last.
func weight(e Event) int {
	if e.Event == Closed {
		return -1
	}
	return rank(e.Alert.Severity)
}
