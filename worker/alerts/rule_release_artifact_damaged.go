package alerts

import (
	"cmp"
	"context"
	"fmt"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

// releaseArtifactDamaged tells of releases that clients should get and cannot: a file is damaged, was found infected by a later scan,
// or is gone, or the release is not as a publication leaves it. It asks what the feed asks. One alert a release.
func releaseArtifactDamaged(ctx context.Context, look *Look) ([]Finding, error) {
	list, err := look.DB.ServedReleases(ctx, release.PlatformTenant)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for i := range list {
		if f, harmed := harmedRelease(&list[i]); harmed {
			out = append(out, f)
		}
	}
	return out, nil
}

func harmedRelease(r *meta.ServedRelease) (Finding, bool) {
	var harm string
	var first meta.ServedArtifact
	files := []string{}
	for _, a := range r.Artifacts {
		if a.Readable() {
			continue
		}
		if len(files) == 0 {
			first, harm = a, fmt.Sprintf("its file %q %s", a.Name, harmOf(a))
		}
		files = append(files, a.Name)
	}
	if err := release.Flaw(r); err != nil && harm == "" {
		harm = err.Error()
	}
	if harm == "" {
		return Finding{}, false
	}
	track, what := release.TrackOf(r.ClientRelease), "The release "+r.Version
	if r.PublishedKey == nil {
		what += ", which devices outside the stage get,"
	}
	return Finding{
		Subject: r.ID, Severity: Critical,
		Message: fmt.Sprintf("%s of %s (%s) is served to nobody: %s. Publish another one, or bring back what is missing: `worker reconcile --once` compares records and store.",
			what, track.Key(), r.ID, harm),
		Facts: map[string]any{
			"release": r.ID, "version": r.Version, "track": track.Key(), "state": r.State, "files": files,
			"asset_state": first.AssetState, "scan": first.ScanStatus, "damage": first.Damage,
		},
	}, true
}

// harmOf ends a sentence about a file that is not readable.
func harmOf(a meta.ServedArtifact) string {
	switch {
	case a.AssetState == "" || a.AssetState == storage.AssetDeleted:
		return "is gone"
	case !a.TenantState.Served():
		return fmt.Sprintf("belongs to a tenant whose files are not served (%s)", cmp.Or(string(a.TenantState), "it has no record"))
	case a.ScanStatus == "" || a.Sweeping:
		return "has no record any more of its bytes in that size"
	case a.Damage != "":
		return fmt.Sprintf("is damaged (%s)", a.Damage)
	case a.ScanStatus == storage.ScanInfected:
		return "was found infected"
	case a.ScanStatus != storage.ScanClean:
		return fmt.Sprintf("is not available (%s)", a.ScanStatus)
	case a.PieceBytes <= 0:
		return "has lost the digests of its pieces, which only a publication writes"
	}
	return fmt.Sprintf("is not available (%s, in the zone %s)", a.AssetState, a.Zone)
}
