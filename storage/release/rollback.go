package release

import (
	"context"
	"fmt"
	"time"

	"gatehouse/storage/meta"
)

// seenWithin is how long ago a device may have been seen last to count for a rollback.
const seenWithin = 30 * 24 * time.Hour

// Outlook is what a rollback would do, by the devices of the track that were seen within 30 days. Clients ignore versions that are
// lower than their own unless they allow downgrades: whoever has the bad version stays on it, also after that was unpublished.
type Outlook struct {
	// From is the version that is published, empty when none is; To is that of the release to go back to.
	From string `json:"from_version" doc:"The version that is published; empty when none is."`
	To   string `json:"to_version"`
	// FromID is the release that is published.
	FromID  string `json:"from_id"`
	Devices int64  `json:"devices" doc:"Devices of the track that were seen within 30 days."`
	Stay    int64  `json:"stay" doc:"Devices that run something later than the version to go back to and stay on it: clients ignore lower versions unless they allow downgrades."`
	Helped  int64  `json:"helped" doc:"Devices that run something lower than the version to go back to: they get it."`
	Already int64  `json:"already" doc:"Devices that run the version to go back to."`
	Other   int64  `json:"other" doc:"Devices that run a version that semantic versioning does not know: nothing is known about them."`
}

// Foresee says what a rollback to a release would do. It reads the devices themselves, as the counts that the worker makes are only of
// a day: one pass, of a quarter of a second on PostgreSQL with 600,000. The deadline of ctx ends it.
func Foresee(ctx context.Context, db *meta.DB, id string) (Outlook, error) {
	var x Examined
	err := db.InTx(ctx, func(tx *meta.Tx) error {
		x = Examined{Ask: Ask{ReleaseID: id, Back: true}}
		return x.read(tx)
	})
	if err != nil {
		return Outlook{}, err
	}
	counts, err := db.DeviceVersions(ctx, x.Release.Channel, x.Release.Platform, x.Release.Arch, meta.StampOf(time.Now().Add(-seenWithin)))
	if err != nil {
		return Outlook{}, fmt.Errorf("count devices: %w", err)
	}
	o := Outlook{To: x.Release.Version, FromID: x.currentID()}
	if x.Current != nil {
		o.From = x.Current.Version
	}
	to, _ := ParseVersion(o.To) // what is stored was parsed
	for _, c := range counts {
		o.Devices += c.Devices
		v, ok := ParseVersion(c.Version)
		switch {
		case !ok:
			o.Other += c.Devices
		case v.Compare(to) > 0:
			o.Stay += c.Devices
		case v.Compare(to) < 0:
			o.Helped += c.Devices
		default:
			o.Already += c.Devices
		}
	}
	return o, nil
}
