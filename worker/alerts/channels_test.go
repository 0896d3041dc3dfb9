package alerts

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// receiver is the other end of a channel; it answers as the test says and keeps what it got.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []*http.Request
	bodies []string
	answer func(w http.ResponseWriter, n int)
}

func newReceiver(t *testing.T, answer func(w http.ResponseWriter, n int)) *receiver {
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.got, r.bodies = append(r.got, req), append(r.bodies, string(body))
		n := len(r.got)
		answer := r.answer
		r.mu.Unlock()
		answer(w, n)
	}))
	t.Cleanup(r.Close)
	return r
}

func status(code int) func(http.ResponseWriter, int) {
	return func(w http.ResponseWriter, _ int) { w.WriteHeader(code) }
}

func errcode(code int) func(http.ResponseWriter, int) {
	return func(w http.ResponseWriter, _ int) { fmt.Fprintf(w, `{"errcode":%d,"errmsg":"said"}`, code) }
}

func (r *receiver) says(answer func(http.ResponseWriter, int)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

const hookSecret = "shared-secret-of-both-ends"

func hookTo(url string) ChannelConfig {
	return ChannelConfig{Name: "hook", Kind: KindWebhook, URL: url + "/hooks/the-key-in%20the-path/in?key=the-key-of-the-hook", Secret: hookSecret}
}

func robotAt(url string) ChannelConfig {
	return ChannelConfig{Name: "robot", Kind: KindWeCom, URL: url + "/cgi-bin/webhook/send?key=the-key-of-the-robot"}
}

// send sends all that is due.
func send(t *testing.T, s *Sender, channel string) {
	t.Helper()
	for {
		more, err := s.Round(t.Context(), channel)
		require.NoError(t, err)
		if !more {
			return
		}
	}
}

func TestWebhookIsSigned(t *testing.T) {
	r := newReceiver(t, status(204))
	b := newBench(t, metatest.SQLite(t), hookTo(r.URL))
	set := b.switched()
	s := b.sender(t)
	set(find("a", Warning))
	a := b.one(t)
	send(t, s, "hook")
	b.clock.pass(time.Minute)
	set()
	b.tick(t)
	send(t, s, "hook")
	require.Len(t, r.bodies, 2)
	for i, event := range []string{Opened, Closed} {
		req, body := r.got[i], r.bodies[i]
		require.Equal(t, http.MethodPost, req.Method)
		require.Equal(t, "application/json", req.Header.Get("Content-Type"))
		var timestamp int64
		_, err := fmt.Sscan(req.Header.Get("X-Gatehouse-Timestamp"), &timestamp)
		require.NoError(t, err)
		require.Equal(t, b.clock.now().Add(time.Duration(i-1)*time.Minute).Unix(), timestamp)
		mac := hmac.New(sha256.New, []byte(hookSecret))
		fmt.Fprintf(mac, "%d.%s", timestamp, body)
		require.Equal(t, fmt.Sprintf("v1=%x", mac.Sum(nil)), req.Header.Get("X-Gatehouse-Signature"))

		var got map[string]any
		require.NoError(t, json.Unmarshal([]byte(body), &got))
		require.Equal(t, event, got["event"])
		alert := got["alert"].(map[string]any)
		require.Equal(t, a.ID, alert["id"])
		require.Equal(t, "quota", alert["rule"])
		require.Equal(t, "warning", alert["severity"])
		require.Equal(t, map[string]any{"n": 1.0}, alert["facts"])
	}
	require.NotEqual(t, r.got[0].Header.Get("X-Gatehouse-Delivery"), r.got[1].Header.Get("X-Gatehouse-Delivery"))
}

func TestWebhookIsTriedAgain(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		r := newReceiver(t, status(500))
		b := newBench(t, db, hookTo(r.URL))
		set := b.switched()
		s := b.sender(t)
		set(find("a", Warning))
		b.tick(t)
		set()
		b.clock.pass(time.Second)
		b.tick(t) // its end waits for its opening
		var pauses []time.Duration
		for range 5 {
			before := r.count()
			began := b.clock.now()
			for r.count() == before {
				send(t, s, "hook")
				b.clock.pass(2 * time.Second)
			}
			pauses = append(pauses, b.clock.now().Sub(began))
		}
		require.IsIncreasing(t, pauses[1:], "the pauses grow")
		first := r.got[0].Header.Get("X-Gatehouse-Delivery")
		for _, req := range r.got {
			require.Equal(t, first, req.Header.Get("X-Gatehouse-Delivery"), "one delivery, and its alert's end after it")
		}
		r.says(status(200))
		before := r.count()
		b.clock.pass(time.Hour)
		send(t, s, "hook")
		require.Equal(t, before+2, r.count())
		require.Contains(t, r.bodies[before], `"event":"opened"`)
		require.Contains(t, r.bodies[before+1], `"event":"closed"`)
		b.clock.pass(time.Hour)
		send(t, s, "hook")
		require.Equal(t, before+2, r.count(), "what was sent is sent once")
	})
}

func TestWebhookIsGivenUpAndTold(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		r := newReceiver(t, func(w http.ResponseWriter, _ int) {
			w.WriteHeader(500)
			fmt.Fprint(w, "cannot take /hooks/the-key-in%20the-path/in?key=the-key-of-the-hook")
		})
		b := newBench(t, db, hookTo(r.URL), logTo("log"))
		set := b.switched()
		b.rules = append(b.rules, Rule{Name: ruleChannel, Find: channelFailing(b.cfg.Channels)})
		s := b.sender(t)
		set(find("a", Warning))
		b.tick(t)
		for range 24 {
			send(t, s, "hook")
			send(t, s, "log")
			b.clock.pass(time.Hour)
			require.Len(t, b.openNow(t), 1, "it is still tried")
		}
		tried := r.count()
		require.Greater(t, tried, 20)
		send(t, s, "hook")
		b.clock.pass(time.Second)
		list := b.openNow(t)
		require.Len(t, list, 2)
		require.Equal(t, "channel", list[1].Rule)
		require.Equal(t, "hook", list[1].Subject)
		require.Contains(t, list[1].Message, "HTTP 500")
		require.NotContains(t, list[1].Message+list[1].Data, "the-key")
		notices, err := db.NoticesOf(t.Context(), list[0].ID)
		require.NoError(t, err)
		require.NotContains(t, fmt.Sprint(notices), "the-key")
		require.Equal(t, []string{Opened}, kinds(b.events(t, list[1].ID, "log")))
		require.Empty(t, b.events(t, list[1].ID, "hook"), "not told where it fails")

		r.says(status(200))
		b.clock.pass(5 * time.Hour)
		b.tick(t) // the repetition of the first alert
		send(t, s, "hook")
		b.clock.pass(time.Second)
		require.Equal(t, "quota", b.one(t).Rule, "it gets through again")
	})
}

// What the other end does wrong is said without its address and without the secret.
func TestFailuresNameNoSecrets(t *testing.T) {
	hang := make(chan struct{})
	for name, tt := range map[string]struct {
		kind   string
		answer func(http.ResponseWriter, int)
		want   string
	}{
		"500":      {KindWebhook, status(500), "HTTP 500"},
		"redirect": {KindWebhook, func(w http.ResponseWriter, _ int) { w.Header().Set("Location", "/elsewhere"); w.WriteHeader(307) }, "HTTP 307: redirects are not followed"},
		"echo": {KindWebhook, func(w http.ResponseWriter, _ int) {
			w.WriteHeader(400)
			fmt.Fprint(w, "bad ", hookSecret, " the-key-of-the-hook")
		}, "HTTP 400: bad *** ***"},
		"echo of the path": {KindWebhook, func(w http.ResponseWriter, _ int) {
			w.WriteHeader(404)
			fmt.Fprint(w, "no /hooks/the-key-in%20the-path/in, no the-key-in the-path, no the-key-in+the-path\n")
		}, "HTTP 404: no ***, no ***, no ***"},
		"echo of the address": {KindWebhook, func(w http.ResponseWriter, _ int) {
			w.WriteHeader(404)
			fmt.Fprint(w, "POST /hooks/the-key-in%20the-path/in?key=the-key-of-the-hook")
		}, "HTTP 404: POST ***"},
		"echo in disguise": {KindWeCom, func(w http.ResponseWriter, _ int) {
			fmt.Fprint(w, `{"errcode":1,"errmsg":"bad \u0074he-key-of-the-robot"}`)
		}, "errcode 1: bad ***"},
		"long":      {KindWebhook, func(w http.ResponseWriter, _ int) { w.WriteHeader(400); w.Write(bytes.Repeat([]byte("x"), 1<<20)) }, "HTTP 400: xxx"},
		"hangs":     {KindWebhook, func(http.ResponseWriter, int) { <-hang }, "no answer within"},
		"hangs up":  {KindWebhook, func(http.ResponseWriter, int) { panic(http.ErrAbortHandler) }, "closed the connection"},
		"full":      {KindWeCom, errcode(45009), "errcode 45009: said"},
		"wrong key": {KindWeCom, errcode(93000), "errcode 93000: said"},
		"no robot":  {KindWeCom, func(w http.ResponseWriter, _ int) { fmt.Fprint(w, "<html>") }, "without an errcode"},
		"robot 500": {KindWeCom, status(500), "HTTP 500"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, tt.answer)
			channel := hookTo(r.URL)
			if tt.kind == KindWeCom {
				channel = robotAt(r.URL)
			}
			if name == "hangs" {
				defer close(hang)
			}
			var log bytes.Buffer
			b := newBench(t, metatest.SQLite(t), channel)
			b.log = slog.New(slog.NewTextHandler(&log, nil))
			set := b.switched()
			s := b.sender(t)
			if name == "hangs" {
				impatient(s, "hook")
			}
			set(find("a", Warning))
			a := b.one(t)
			_, err := s.Round(t.Context(), channel.Name)
			require.NoError(t, err)
			require.Equal(t, 1, r.count())
			require.Contains(t, log.String(), tt.want)
			_, err = s.Try(t.Context(), channel.Name)
			require.ErrorContains(t, err, strings.TrimSuffix(tt.want, "xxx"))
			for _, text := range []string{log.String(), err.Error()} {
				for _, secret := range []string{"the-key", hookSecret, r.URL, r.Listener.Addr().String()} {
					require.NotContains(t, text, secret)
				}
				require.Less(t, len(text), 1000)
			}
			notices, err := b.db.NoticesOf(t.Context(), a.ID)
			require.NoError(t, err)
			require.Zero(t, notices[0].EndedAt, "it is not taken for sent")
		})
	}
	_, err := newPoster("x", "http://host:port/the-key-of-the-hook", "")
	require.ErrorContains(t, err, "alerts.channels.x.url")
	require.NotContains(t, err.Error(), "the-key")
}

// impatient makes a webhook wait a moment instead of ten seconds.
func impatient(s *Sender, name string) {
	s.channels[name].(*webhook).client.Timeout = 50 * time.Millisecond
}

// A channel that hangs holds up no other.
func TestChannelsAreServedApart(t *testing.T) {
	hang := make(chan struct{})
	stuck := newReceiver(t, func(http.ResponseWriter, int) { <-hang })
	fine := newReceiver(t, status(200))
	slow, quick := hookTo(stuck.URL), hookTo(fine.URL)
	slow.Name, quick.Name = "slow", "quick"
	b := newBench(t, metatest.SQLite(t), slow, quick)
	b.cfg.Now = time.Now
	set := b.switched()
	s := b.sender(t)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	for i := range 5 {
		set(find(fmt.Sprint("a", i), Warning))
		b.tick(t)
	}
	require.Eventually(t, func() bool { return fine.count() == 9 }, 20*time.Second, 10*time.Millisecond, "5 opened and 4 closed")
	require.Eventually(t, func() bool { return stuck.count() == 1 }, 20*time.Second, 10*time.Millisecond, "it hangs in its first")
	stop()
	close(hang)
	running.Wait()
}

// The robot takes 20 messages in any minute, whoever sends; what does not fit waits and is told together.
func TestRobotTakesTwentyAMinute(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
		var sent []time.Time
		var b *bench
		r := newReceiver(t, func(w http.ResponseWriter, _ int) {
			sent = append(sent, b.clock.now())
			fmt.Fprint(w, `{"errcode":0,"errmsg":"ok"}`)
		})
		b = newBench(t, one, robotAt(r.URL))
		other := newBench(t, two, robotAt(r.URL))
		other.clock, other.cfg.Now = b.clock, b.clock.now
		set := b.switched()
		senders := []*Sender{b.sender(t), other.sender(t)}
		const alerts = 30
		var all []Finding
		for i := range alerts { // one a second, and each is sent at once if it may be
			all = append(all, find(fmt.Sprintf("s%03d", i), Warning))
			set(all...)
			b.tick(t)
			send(t, senders[i%2], "robot")
			b.clock.pass(time.Second)
		}
		require.Len(t, sent, 20)
		for range 30 {
			b.clock.pass(2 * time.Second)
			send(t, senders[0], "robot")
			send(t, senders[1], "robot")
		}
		require.Len(t, sent, 21, "what waited went out together")
		for i := 20; i < len(sent); i++ {
			require.Greater(t, sent[i].Sub(sent[i-20]), time.Minute)
		}
		told := strings.Join(r.bodies[:20], "\n")
		for i := range 20 {
			require.Contains(t, told, fmt.Sprintf("s%03d", i))
		}
		require.Contains(t, r.bodies[20], "10 messages")
		list, err := one.TakeNotices(t.Context(), "robot", meta.StampOf(b.clock.now()), meta.StampOf(b.clock.now()), 500)
		require.NoError(t, err)
		require.Empty(t, list, "nothing is left to be told")
	})
}

// The budget is one, however many ask for it at once.
func TestBudgetIsNeverOverdrawn(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
		now := meta.Now()
		var mu sync.Mutex
		var taken int
		var all sync.WaitGroup
		for i := range 32 {
			db := []*meta.DB{one, two}[i%2]
			all.Go(func() {
				wait, err := db.Spend(context.Background(), "x", now, time.Minute, 5)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				} else if wait == 0 {
					taken++
				}
			})
		}
		all.Wait()
		require.Equal(t, 5, taken)
		wait, err := one.Spend(t.Context(), "x", now.Add(10*time.Second), time.Minute, 5)
		require.NoError(t, err)
		require.Equal(t, 50*time.Second, wait)
		wait, err = one.Spend(t.Context(), "x", now.Add(-10*time.Second), time.Minute, 5)
		require.NoError(t, err)
		require.Equal(t, 70*time.Second, wait, "a clock that is behind gains nothing")
		wait, err = one.Spend(t.Context(), "x", now.Add(time.Minute), time.Minute, 5)
		require.NoError(t, err)
		require.Zero(t, wait)
	})
}

func TestRobotThatIsFullIsLeftAlone(t *testing.T) {
	r := newReceiver(t, errcode(45009))
	b := newBench(t, metatest.SQLite(t), robotAt(r.URL))
	set := b.switched()
	s := b.sender(t)
	set(find("a", Warning))
	b.tick(t)
	send(t, s, "robot")
	b.clock.pass(59 * time.Second)
	send(t, s, "robot")
	require.Equal(t, 1, r.count())
	r.says(errcode(0))
	b.clock.pass(time.Second)
	send(t, s, "robot")
	require.Equal(t, 2, r.count())
	b.clock.pass(time.Hour)
	send(t, s, "robot")
	require.Equal(t, 2, r.count())
	var got struct {
		Type string `json:"msgtype"`
		Text struct{ Content string }
	}
	require.NoError(t, json.Unmarshal([]byte(r.bodies[1]), &got))
	require.Equal(t, "text", got.Type)
	require.Contains(t, got.Text.Content, "Gatehouse [WARNING] Something about a is wrong.")
}

func TestTextsFitTheRobot(t *testing.T) {
	for _, n := range []int{1, 2, 7, 8, 200} {
		for _, words := range []string{"短", strings.Repeat("很长的消息", 60), strings.Repeat("x", 1000)} {
			var list []message
			for i := range n {
				severity := Info
				if i == n-1 {
					severity = Critical
				}
				list = append(list, message{Event: Event{Event: Opened, Alert: View{ID: meta.NewID(), Severity: severity, Message: words}}})
			}
			text := weComText(list)
			require.LessOrEqual(t, len(text), 2048)
			require.True(t, utf8.ValidString(text))
			require.Contains(t, text, "[CRITICAL]", "the worst is never cut off")
			shown := strings.Count(text, "\n- ")
			if n > 1 {
				require.Contains(t, text, fmt.Sprintf("%d messages", n))
			}
			if n > 1 && shown < n {
				require.Contains(t, text, fmt.Sprintf("… and %d more", n-shown))
			}
		}
	}
}

func TestLogChannel(t *testing.T) {
	var out bytes.Buffer
	b := newBench(t, metatest.SQLite(t), logTo("log"))
	b.log = slog.New(slog.NewJSONHandler(&out, nil))
	set := b.switched()
	s := b.sender(t)
	set(find("a", Critical), find("b", Warning))
	b.tick(t)
	send(t, s, "log")
	set()
	b.tick(t)
	send(t, s, "log")
	var levels []string
	for line := range strings.Lines(out.String()) {
		var e map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		levels = append(levels, fmt.Sprint(e["level"], " ", e["msg"]))
		require.Equal(t, "quota", e["rule"])
	}
	require.ElementsMatch(t, []string{"ERROR alert opened", "WARN alert opened", "INFO alert closed", "INFO alert closed"}, levels)
}

// A worker that was off for days does not take its own channels for failing.
func TestMessagesOfOtherChannelsAreGivenUp(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		b := newBench(t, db, logTo("log"), logTo("gone"))
		set := b.switched()
		set(find("a", Warning))
		a := b.one(t)
		b.cfg.Channels = b.cfg.Channels[:1]
		b.clock.pass(26 * time.Hour)
		b.tick(t)
		list, err := db.NoticesOf(t.Context(), a.ID)
		require.NoError(t, err)
		for _, n := range list {
			require.Equal(t, n.Channel == "gone", n.EndedAt != 0, n.Channel)
		}
		b.cfg.Channels = nil
		b.clock.pass(26 * time.Hour)
		b.tick(t)
		list, err = db.NoticesOf(t.Context(), a.ID)
		require.NoError(t, err)
		for _, n := range list {
			require.NotZero(t, n.EndedAt)
		}
	})
}

func TestWrongChannelsAreRefused(t *testing.T) {
	for want, c := range map[string]ChannelConfig{
		"alerts.channels.a.kind: \"mail\" is none of":        {Name: "a", Kind: "mail"},
		"alerts.channels.a.url: an http or https URL":        {Name: "a", Kind: KindWeCom},
		"alerts.channels.a.secret: a secret is expected":     {Name: "a", Kind: KindWebhook, URL: "https://example.com"},
		"alerts.channels.a.rules: there is no rule \"disc\"": {Name: "a", Kind: KindLog, Rules: []string{"disc"}},
	} {
		_, err := NewEngine(Config{Channels: []ChannelConfig{c}}, nil, nil)
		require.ErrorContains(t, err, want)
	}
	_, err := (&Sender{}).Try(t.Context(), "none")
	require.ErrorContains(t, err, "no channel")
	require.False(t, errors.Is(err, context.Canceled))
}
