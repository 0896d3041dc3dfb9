package alerts

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

// releasePublishFailed tells of releases that were not published although somebody asked for it, and of files whose bytes were not
// those that were expected: one alert for each, until it is published or operators_for has passed.
func releasePublishFailed(ctx context.Context, look *Look) ([]Finding, error) {
	list, err := look.DB.ReleaseFailures(ctx, look.operatorsSince(), mostActs)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, r := range list {
		f := Finding{
			Subject: cmp.Or(r.Target, r.Action), Severity: Warning,
			Message: fmt.Sprintf("The call %s of %q by the %s:%s came to nothing at %s (%s); clients get what was published before. `gateway audit --action release` says why.",
				r.Action, r.Target, r.ActorKind, r.ActorID, at(r.At.Time()), cmp.Or(r.Code, r.Result)),
			Facts: map[string]any{
				"action": r.Action, "target": r.Target, "result": r.Result, "code": r.Code, "record": r.ID, "actor": r.ActorKind + ":" + r.ActorID,
				"address": r.Address, "at": r.At.Time(),
			},
		}
		changed, err := changedFiles(r)
		if err != nil {
			return nil, err
		}
		switch {
		case len(changed) > 0:
			f.Severity = Critical
			f.Facts["files"] = changed
			f.Message = fmt.Sprintf("The call %s of %q by the %s:%s came to nothing at %s (%s): what is stored of %s is not what was uploaded. Somebody has changed the store or the database, or they fail; clients get what was published before. `gateway audit --action release` says more.",
				r.Action, r.Target, r.ActorKind, r.ActorID, at(r.At.Time()), r.Code, strings.Join(changed, ", "))
		case r.Code == string(storage.CodeReleaseChecksumMismatch) || r.Code == string(storage.CodeDigestMismatch):
			f.Severity = Critical
			f.Message = fmt.Sprintf("The bytes of %q were not those that were expected at %s, when the %s:%s called %s (%s): they were changed on their way or where they are stored, and are not published. `gateway audit --action release` says more.",
				r.Target, at(r.At.Time()), r.ActorKind, r.ActorID, r.Action, r.Code)
		}
		out = append(out, f)
	}
	return out, nil
}

// changedFiles names the files of which a refused publication found that they are not those that were uploaded.
func changedFiles(r meta.AuditRecord) ([]string, error) {
	if r.Code != string(storage.CodeReleaseNotPublishable) {
		return nil, nil
	}
	var data struct {
		Reasons []release.Problem `json:"reasons"`
	}
	if err := json.Unmarshal([]byte(r.Data), &data); err != nil {
		return nil, fmt.Errorf("read the reasons in record %d: %w", r.ID, err)
	}
	var out []string
	for _, p := range data.Reasons {
		if p.OtherBytes() {
			out = append(out, fmt.Sprintf("%q", p.Artifact))
		}
	}
	return out, nil
}
