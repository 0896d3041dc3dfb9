package release

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/content"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

// File is GET feed/{channel}/{platform}/{arch}/{version}/{name}: a file of a release that was ever published, as long as it is
// available. electron-updater also reads the blockmap of the version it has.
func (a *API) File(c *fiber.Ctx) error {
	track := trackOf(c)
	if !track.Valid() {
		return noTrack()
	}
	version, ok := release.ParseVersion(segment(c, "version"))
	if !ok {
		return notFound()
	}
	name := segment(c, "name")
	return a.send(c, name, func(ctx context.Context) (meta.ServedArtifact, error) {
		return a.DB.ReleaseFile(ctx, release.PlatformTenant, track.Versioned(version), name)
	})
}

// send is the only way files of releases leave: the artifact of that name, if its rows still say that anybody may read it.
func (a *API) send(c *fiber.Ctx, name string, find func(context.Context) (meta.ServedArtifact, error)) error {
	if len(name) > release.MaxName || !utf8.ValidString(name) || strings.IndexByte(name, 0) >= 0 {
		return notFound() // a database may fail on it
	}
	ctx, cancel := a.context(c)
	defer cancel()
	row, err := find(ctx)
	switch {
	case storage.CodeOf(err) == storage.CodeNotFound:
		return notFound()
	case err != nil:
		return err
	case !row.Cleared():
		return notFound().Because(reasonWithdrawn)
	case row.Damage != "":
		return damaged(row.Damage)
	}
	f := &file{api: a, row: row, reader: a.reader(c)}
	if c.Method() == fiber.MethodHead { // which opens nothing, and must not promise what GET cannot give
		if err := f.look(c.UserContext()); err != nil {
			return err
		}
	}
	return content.Serve(c, content.Object{
		Size: row.Size, ETag: row.SHA256, MediaType: row.MediaType, Name: row.Name, LastModified: row.PublishedAt.Time(),
		// Every reuse asks here first, though the bytes behind an address never change: a file that is found to be infected
		// after all must not live on in caches.
		CacheControl: "public, no-cache", CrossOrigin: true, Open: f.open,
	})
}

// reader describes the caller to the audit log. Its strings outlive the request, so they are copies.
func (a *API) reader(c *fiber.Ctx) audit.Actor {
	return audit.Actor{
		Kind: audit.KindStranger, RequestID: strings.Clone(a.RequestID(c)), Address: strings.Clone(a.Client(c)),
		UserAgent: strings.Clone(c.Get(fiber.HeaderUserAgent)),
	}
}
