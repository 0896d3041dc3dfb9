package release

import (
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"gatehouse/storage"
	"gatehouse/storage/release"
)

// nothing is the answer where nothing is published for the device.
var nothing = []byte(`{"has_update":false,"latest_version":null}`)

// Latest is GET updates/latest: whether there is an update for a device that has a version.
func (a *API) Latest(c *fiber.Ctx) error {
	query := c.Context().QueryArgs()
	get := func(name string) string { return string(query.Peek(name)) }
	track := release.Track{Channel: release.DefaultChannel, Platform: get("platform"), Arch: get("arch")}
	if query.Has("channel") {
		track.Channel = get("channel")
	}
	v, err := a.published()
	if err != nil {
		return err
	}
	o := v.tracks[track]
	if o == nil { // which a track that is none never is
		if err := refuseTrack(track); err != nil {
			return err
		}
	}
	has, ok := release.ParseVersion(get("current_version"))
	if !ok {
		return storage.Refuse(storage.CodeReleaseVersionInvalid, storage.Details{"version": clip(get("current_version"))}).Because(reasonVersion)
	}
	body := nothing
	if offer := o.to(get("device_id")); offer != nil {
		body = offer.answer(has)
	}
	c.Response().Header.SetContentType(fiber.MIMEApplicationJSON)
	c.Response().SetBodyRaw(body)
	return nil
}

// refuseTrack says which parameter is wrong.
func refuseTrack(t release.Track) error {
	for _, check := range []struct {
		track  release.Track
		reason storage.Reason
	}{
		{release.Track{Channel: release.DefaultChannel, Platform: t.Platform, Arch: release.Archs[0]}, reasonPlatform},
		{release.Track{Channel: release.DefaultChannel, Platform: release.Platforms[0], Arch: t.Arch}, reasonArch},
		{release.Track{Channel: t.Channel, Platform: release.Platforms[0], Arch: release.Archs[0]}, reasonChannel},
	} {
		if !check.track.Valid() {
			return storage.Refuse(storage.CodeMalformedRequest, nil).Because(check.reason)
		}
	}
	return nil
}

// shown is how much of a wrong version is repeated, in bytes.
const shown = 64

func clip(s string) string {
	if len(s) <= shown {
		return s
	}
	for i := shown; ; i-- {
		if utf8.RuneStart(s[i]) {
			return s[:i] + "…"
		}
	}
}

var (
	reasonVersion = storage.Reason{
		Slug:    "current_version",
		English: "Give the version that the client has as current_version; a plus sign in it is written %2B.",
		Chinese: "请以 current_version 提供客户端当前的版本号；其中的加号应写作 %2B。",
	}
	reasonPlatform = storage.Reason{
		Slug:    "platform",
		English: "platform must be win32, darwin or linux.",
		Chinese: "platform 必须是 win32、darwin 或 linux。",
	}
	reasonArch = storage.Reason{
		Slug:    "arch",
		English: "arch must be x64, x86 or arm64.",
		Chinese: "arch 必须是 x64、x86 或 arm64。",
	}
	reasonChannel = storage.Reason{
		Slug:    "channel",
		English: "channel must be a lower-case letter and up to 31 more lower-case letters, digits and hyphens; without it, stable is meant.",
		Chinese: "channel 必须以小写字母开头，后接至多 31 个小写字母、数字或连字符；省略时为 stable。",
	}
)
