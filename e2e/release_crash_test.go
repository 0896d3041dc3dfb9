package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/rig"
	"gatehouse/e2e/services"
)

// TestAKilledPublicationLeavesTheOldRelease: a gateway is killed while it reads the files of a release. The old one stays served,
// by the gateway that lives and by the one that comes back, and the publication is repeated.
func TestAKilledPublicationLeavesTheOldRelease(t *testing.T) {
	l, store := twoGateways(t)
	l.release(1, 8)
	l.publish(l.ids[0], 100)
	l.release(2, 8)

	store.hold()
	publication := l.begin(0, l.ids[1], l.ids[0])
	store.awaits(1)
	l.r.Gateways[0].Kill()
	require.Error(t, <-publication)
	store.letGo()

	old := func(gateway int) {
		require.Equal(t, "draft", l.at(gateway).state(l.ids[1]))
		require.Equal(t, "published", l.at(gateway).state(l.ids[0]))
		require.Contains(t, string(l.at(gateway).read("latest.yml")), `version: "1.0.0"`)
		require.Equal(t, l.setups[0], l.at(gateway).read("1.0.0/"+url.PathEscape(setupName("1.0.0"))))
	}
	old(1)
	l.r.Gateways[0].Start()
	l.r.WaitReady(0)
	old(0)
	require.NoError(t, <-l.begin(0, l.ids[1], l.ids[0]))
	for gateway := range l.r.URLs {
		require.Eventually(t, func() bool {
			return strings.Contains(string(l.at(gateway).read("latest.yml")), `version: "2.0.0"`)
		}, patience, 50*time.Millisecond)
	}
	require.Equal(t, "superseded", l.at(1).state(l.ids[0]))
}

// TestOfTwoGatewaysThatPublishOneWins: both have read their release's files when one of them takes the track.
func TestOfTwoGatewaysThatPublishOneWins(t *testing.T) {
	l, store := twoGateways(t)
	for n := range l.ids {
		l.release(n+1, 8)
	}
	l.publish(l.ids[0], 100)

	store.hold()
	publications := []<-chan error{l.begin(0, l.ids[1], l.ids[0]), l.begin(1, l.ids[2], l.ids[0])}
	store.awaits(2)
	store.letGo()
	won, lost := -1, -1
	for n, p := range publications {
		if err := <-p; err == nil {
			won = n
		} else {
			lost = n
			require.Equal(t, "RELEASE_PUBLISHED_CONFLICT", rig.CodeOf(err), "%v", err)
		}
	}
	require.NotEqual(t, -1, won, "one is published")
	require.NotEqual(t, -1, lost, "and one only")
	require.Equal(t, "published", l.at(lost).state(l.ids[1+won]))
	require.Equal(t, "draft", l.at(won).state(l.ids[1+lost]))
	require.Equal(t, "superseded", l.at(won).state(l.ids[0]))
	// What the loser saw as published is not any more.
	require.Equal(t, "RELEASE_PUBLISHED_CONFLICT", rig.CodeOf(<-l.begin(lost, l.ids[1+lost], l.ids[0])))
}

// twoGateways is an application on two gateways, whose store can be held.
func twoGateways(t *testing.T) (*life, *heldStore) {
	t.Helper()
	store := newHeldStore(t, "http://"+services.MinIO(t).Endpoint)
	r := rig.Distributed(t, rig.Options{Gateways: 2, Env: map[string]string{"GATEHOUSE_STORE_S3_ENDPOINT": strings.TrimPrefix(store.url, "http://")}})
	store.bucket = r.Env["GATEHOUSE_STORE_S3_CLEAN_BUCKET"]
	return &life{desk: newDesk(t, r, r.URLs[0]), track: track{"stable", "win32", "x64"}}, store
}

// begin publishes a release in place of another one, at a gateway; what comes of it is sent.
func (l *life) begin(gateway int, id, replaces string) <-chan error {
	out, o := make(chan error, 1), l.at(gateway).o
	go func() {
		out <- o.Call(http.MethodPost, "client-releases/"+id+"/publish", map[string]any{"percentage": 100, "replaces": replaces, "reason": "the plan"}, nil)
	}()
	return out
}

// gate is one of several gateways, with the operator's session there.
type gate struct {
	l *life
	o *rig.Operator
}

func (l *life) at(gateway int) gate {
	o := *l.o
	o.URL = l.r.URLs[gateway]
	return gate{l, &o}
}

func (g gate) state(id string) string {
	g.l.t.Helper()
	var r struct{ State string }
	g.o.OK(http.MethodGet, "client-releases/"+id, nil, &r)
	return r.State
}

// read reads a file of the feed.
func (g gate) read(file string) []byte {
	g.l.t.Helper()
	resp, err := http.Get(g.o.URL + g.l.track.feed() + file)
	require.NoError(g.l.t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(g.l.t, err)
	require.Equal(g.l.t, http.StatusOK, resp.StatusCode, file)
	return body
}

// heldStore is a proxy before a store that stops in the middle of files that are read of the clean zone, while it is held.
type heldStore struct {
	t           *testing.T
	url, bucket string

	mu      sync.Mutex
	free    chan struct{} // nil while nothing is held
	waiting int
}

func newHeldStore(t *testing.T, store string) *heldStore {
	t.Helper()
	to, err := url.Parse(store)
	require.NoError(t, err)
	s := &heldStore{t: t}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host // which is signed
		},
		Transport:     &http.Transport{DisableCompression: true},
		FlushInterval: -1,
		ModifyResponse: func(resp *http.Response) error {
			if resp.Request.Method == http.MethodGet && strings.HasPrefix(resp.Request.URL.Path, "/"+s.bucket+"/") {
				resp.Body = &heldBody{ReadCloser: resp.Body, store: s, gone: resp.Request.Context().Done()}
			}
			return nil
		},
	})
	t.Cleanup(server.Close)
	t.Cleanup(s.letGo)
	s.url = server.URL
	return s
}

func (s *heldStore) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free, s.waiting = make(chan struct{}), 0
}

func (s *heldStore) letGo() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free != nil {
		close(s.free)
		s.free = nil
	}
}

// awaits waits until so many readers stand still.
func (s *heldStore) awaits(readers int) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.waiting >= readers
	}, patience, 20*time.Millisecond, "the files are read")
}

func (s *heldStore) wait(gone <-chan struct{}) {
	s.mu.Lock()
	free := s.free
	if free != nil {
		s.waiting++
	}
	s.mu.Unlock()
	if free == nil {
		return
	}
	select {
	case <-free:
	case <-gone:
	}
}

// heldBody is a file on its way.
type heldBody struct {
	io.ReadCloser
	store *heldStore
	gone  <-chan struct{}
	begun bool
}

func (b *heldBody) Read(p []byte) (int, error) {
	if b.begun {
		b.store.wait(b.gone)
	}
	b.begun = true
	return b.ReadCloser.Read(p)
}
