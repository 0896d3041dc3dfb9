package release

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/content"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/release"
	"gatehouse/storage/release/manifest"
)

// stagingHeader carries the id by which electron-updater counts the device.
const stagingHeader = "x-user-staging-id"

// noUpdate is the manifest where nothing is published for the device: to electron-updater a 404 would be an error.
var (
	noUpdate     = manifest.None()
	noUpdateETag = func() string { sum := sha256.Sum256(noUpdate); return `"` + hex.EncodeToString(sum[:]) + `"` }()
)

// Feed is GET feed/{channel}/{platform}/{arch}/{file}: the manifest for this device, or a file that an uploaded manifest
// names without its version's folder.
func (a *API) Feed(c *fiber.Ctx) error {
	track, file := trackOf(c), segment(c, "file")
	if manifestOf(track, file) {
		return a.manifest(c, track)
	}
	if !track.Valid() {
		return noTrack()
	}
	err := a.send(c, file, func(ctx context.Context) (meta.ServedArtifact, error) {
		return a.DB.ReleaseFileOfTrack(ctx, release.PlatformTenant, track.Channel, track.Platform, track.Arch, file)
	})
	var refused *storage.Error
	if errors.As(err, &refused) && refused.Code == storage.CodeReleaseArtifactNotFound && refused.Reason == nil && asksManifest(file) {
		return otherName(track)
	}
	return err
}

// asksManifest reports whether a name that no file has is meant for a manifest: nothing else in a feed ends so.
func asksManifest(file string) bool {
	ext := strings.ToLower(path.Ext(file))
	return ext == ".yml" || ext == ".yaml"
}

// otherName says by which name the manifest of a track is asked for.
func otherName(t release.Track) error {
	name := "latest" + suffixOf(t) + ".yml"
	return storage.Refuse(storage.CodeReleaseArtifactNotFound, storage.Details{"manifest": name}).Because(storage.Reason{
		Slug:    "manifest_name",
		English: fmt.Sprintf("The manifest of this feed is called %s; the name of the channel, %s, may stand in place of latest.", name, t.Channel),
		Chinese: fmt.Sprintf("此更新源的清单名为 %s；其中的 latest 也可以换成渠道名称 %s。", name, t.Channel),
	})
}

// manifestOf reports whether electron-updater asks for the track's manifest by that name: that of its channel, which is
// "latest" unless the application sets another, and what it puts behind it by platform and arch (Provider.getChannelFilePrefix).
func manifestOf(t release.Track, file string) bool {
	name, ok := strings.CutSuffix(file, suffixOf(t)+".yml")
	return ok && (name == "latest" || name == t.Channel)
}

// suffixOf is what stands behind the channel in the name of a track's manifest.
func suffixOf(t release.Track) string {
	switch t.Platform {
	case "darwin":
		return "-mac"
	case "linux":
		return map[string]string{"x64": "-linux", "arm64": "-linux-arm64", "x86": "-linux-ia32"}[t.Arch]
	}
	return ""
}

func (a *API) manifest(c *fiber.Ctx, track release.Track) error {
	v, err := a.published()
	if err != nil {
		return err
	}
	offers := v.tracks[track]
	if offers == nil && !track.Valid() {
		return noTrack()
	}
	body, etag := noUpdate, noUpdateETag
	if o := offers.to(string(c.Request().Header.Peek(stagingHeader))); o != nil {
		body, etag = o.manifest, o.etag
	}
	h := &c.Response().Header
	h.Set(fiber.HeaderETag, etag)
	h.Set(fiber.HeaderCacheControl, "no-cache")
	h.Set(fiber.HeaderVary, stagingHeader)
	if known := c.Request().Header.Peek(fiber.HeaderIfNoneMatch); len(known) > 0 && content.Known(string(known), etag) {
		c.Status(fiber.StatusNotModified)
		return nil
	}
	h.SetContentType("text/yaml; charset=utf-8")
	c.Response().SetBodyRaw(body)
	return nil
}
