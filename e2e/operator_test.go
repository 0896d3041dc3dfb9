package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/rig"
	"gatehouse/worker/mediatest"
)

// adminPage is what lists of the admin API answer, of which these tests read the ids and states.
type adminPage struct {
	Items []struct {
		ID        any    `json:"id"`
		State     string `json:"state"`
		Scan      string `json:"scan"`
		Signature string `json:"signature"`
		Action    string `json:"action"`
		Name      string `json:"name"`
	} `json:"items"`
}

// TestAnOperatorsWorkingDay: first login, a tenant and its key, an infected upload, a transcode that failed, a plan, a
// suspension, and the audit log that proves all of it to somebody who has nothing but the public key.
func TestAnOperatorsWorkingDay(t *testing.T) {
	eachMode(t, rig.Options{Env: map[string]string{"GATEHOUSE_VIDEOS_MAX_DURATION": "1s"}}, func(t *testing.T, r *rig.Rig) {
		o := r.Operator("kim", "super")
		require.Len(t, o.Recovery, 10)
		day := &workingDay{t: t, r: r, o: o}
		day.newTenant()
		day.infected()
		day.failedTranscode()
		day.planAndSuspension()
		day.goodbye()
		day.proof()
	})
}

type workingDay struct {
	t *testing.T
	r *rig.Rig
	o *rig.Operator
	// tenant is the day's customer, c its program.
	tenant string
	c      *rig.Client
}

func (d *workingDay) newTenant() {
	var made struct {
		TenantID string `json:"tenant_id"`
	}
	d.o.OK(http.MethodPost, "tenants", map[string]any{"name": "acme", "plan": "pro", "reason": "contract 12"}, &made)
	d.tenant = made.TenantID
	var key struct {
		APIKey string `json:"api_key"`
	}
	d.o.OK(http.MethodPost, "tenants/"+d.tenant+"/keys", map[string]any{"name": "website"}, &key)
	d.c = &rig.Client{T: d.t, URL: d.o.URL, Key: key.APIKey, TenantID: d.tenant}
	var overview struct {
		Tenants struct {
			ByState map[string]int64 `json:"by_state"`
		} `json:"tenants"`
	}
	d.o.OK(http.MethodGet, "overview", nil, &overview)
	require.EqualValues(d.t, 1, overview.Tenants.ByState["active"])
}

func (d *workingDay) infected() {
	a, err := d.c.Upload("invoice.txt", []byte(eicar))
	require.NoError(d.t, err)
	d.c.Await(a.ID, patience, func(a rig.Asset) bool { return a.State == "rejected" })
	var found adminPage
	d.o.OK(http.MethodGet, "assets?scan=infected&tenant="+d.tenant, nil, &found)
	require.Len(d.t, found.Items, 1)
	require.Equal(d.t, a.ID, found.Items[0].ID)
	require.Contains(d.t, found.Items[0].Signature, "Eicar")
	var history adminPage
	d.o.OK(http.MethodGet, "assets/"+a.ID+"/history", nil, &history)
	require.NotEmpty(d.t, history.Items)
	for _, path := range []string{"assets/" + a.ID + "/content", "assets/" + a.ID + "/variants/x"} {
		require.Equal(d.t, "NOT_FOUND", rig.CodeOf(d.o.Call(http.MethodGet, path, nil, nil)), "operators read no content")
	}
}

func (d *workingDay) failedTranscode() {
	a := clip(d.t, d.c, mediatest.Video(d.t, mediatest.Plain))
	a = d.c.Await(a.ID, patience, rig.Ready)
	require.Equal(d.t, "failed video_too_long", a.Media.Status+" "+a.Media.Reason)
	var found adminPage
	d.o.OK(http.MethodGet, "assets?media=failed", nil, &found)
	require.Len(d.t, found.Items, 1)
	d.r.Workers[0].Stop()
	delete(d.r.Env, "GATEHOUSE_VIDEOS_MAX_DURATION") // the limit was the mistake
	d.r.AddWorker()
	d.o.OK(http.MethodPost, "assets/"+a.ID+"/retry", map[string]any{"what": "media", "reason": "the limit was wrong"}, nil)
	a = d.c.Await(a.ID, patience, func(a rig.Asset) bool { return a.Media.Status == "done" })
	require.NotEmpty(d.t, a.Media.Variants)
}

func (d *workingDay) planAndSuspension() {
	d.o.OK(http.MethodPatch, "plans/pro", map[string]any{"set": map[string]any{"max_files": 3}, "reason": "trial"}, nil)
	_, err := d.c.Upload("third.txt", text(d.t, 100))
	require.NoError(d.t, err)
	_, err = d.c.Upload("fourth.txt", text(d.t, 200))
	require.Equal(d.t, "QUOTA_EXCEEDED", rig.CodeOf(err), "a plan holds from the next request on")
	d.o.OK(http.MethodPut, "tenants/acme/plan", map[string]any{"plan": "enterprise", "reason": "upgrade"}, nil)
	_, err = d.c.Upload("fourth.txt", text(d.t, 200))
	require.NoError(d.t, err)

	d.o.OK(http.MethodPost, "tenants/acme/suspend", map[string]any{"reason": "unpaid"}, nil)
	_, err = d.c.Upload("fifth.txt", text(d.t, 300))
	require.Equal(d.t, "TENANT_SUSPENDED", rig.CodeOf(err))
	d.o.OK(http.MethodPost, "tenants/acme/resume", map[string]any{"reason": "paid"}, nil)
	_, err = d.c.Upload("fifth.txt", text(d.t, 300))
	require.NoError(d.t, err)
}

// goodbye makes a colleague who may only read, and takes a plan away, which needs a fresh code.
func (d *workingDay) goodbye() {
	d.o.OK(http.MethodPost, "plans", map[string]any{"name": "spare", "like": "free"}, nil)
	d.o.StepUp()
	d.o.OK(http.MethodDelete, "plans/spare", map[string]any{"reason": "not needed"}, nil)
	var invited struct{ Link string }
	d.o.OK(http.MethodPost, "operators", map[string]any{"name": "sam", "role": "auditor"}, &invited)
	sam := &rig.Operator{T: d.t, URL: d.o.URL, Name: "sam", Password: "Merlin-91-harbour"}
	sam.Accept(invited.Link)
	err := sam.Call(http.MethodPost, "tenants/acme/suspend", map[string]any{"reason": "because"}, nil)
	require.Equal(d.t, "FORBIDDEN", rig.CodeOf(err))
	var log adminPage
	sam.OK(http.MethodGet, "audit?action=tenant", nil, &log)
	var actions []string
	for _, rec := range log.Items {
		actions = append(actions, rec.Action)
	}
	require.Subset(d.t, actions, []string{"tenant.create", "tenant.plan", "tenant.suspend", "tenant.resume"})
}

// proof exports the audit log and verifies it with neither database nor configuration.
func (d *workingDay) proof() {
	require.Eventually(d.t, func() bool {
		var verdict struct {
			OK bool `json:"ok"`
		}
		err := d.o.Call(http.MethodGet, "audit/verify", nil, &verdict)
		return err == nil && verdict.OK
	}, patience, time.Second)
	d.r.Gateway("audit", "verify")
	file, raw := filepath.Join(d.r.Dir, "audit.jsonl"), []byte(nil)
	require.Eventually(d.t, func() bool { // a record is sealed, and exported, a second or two after it was written
		_ = os.Remove(file)
		d.r.Gateway("audit", "export", file)
		var err error
		raw, err = os.ReadFile(file)
		require.NoError(d.t, err)
		return bytes.Contains(raw, []byte("audit.verify"))
	}, patience, time.Second)
	key := strings.TrimSpace(d.r.Gateway("audit", "key"))
	for _, action := range []string{"operator.create", "tenant.create", "key.create", "scan.verdict", "asset.retry", "plan.set", "tenant.suspend", "tenant.resume"} {
		require.Contains(d.t, string(raw), action)
	}
	require.NotContains(d.t, string(raw), d.c.Key, "no secret is in it")
	require.NotContains(d.t, string(raw), d.o.Secret)

	d.r.Env = map[string]string{} // whoever verifies has the file and the public key
	d.r.Gateway("audit", "verify", "--file", file, "--public-key", key)
	forged := bytes.Replace(raw, []byte("unpaid"), []byte("praise"), 1)
	require.NotEqual(d.t, raw, forged)
	require.NoError(d.t, os.WriteFile(file, forged, 0o600))
	says := d.r.GatewayFails("audit", "verify", "--file", file, "--public-key", key)
	require.Contains(d.t, says, "changed")
}
