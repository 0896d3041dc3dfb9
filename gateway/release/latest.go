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
		if reason, wrong := track.Wrong(); wrong {
			return storage.Refuse(storage.CodeMalformedRequest, nil).Because(reason)
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

var reasonVersion = storage.Reason{
	Slug:    "current_version",
	English: "Give the version that the client has as current_version; a plus sign in it is written %2B.",
	Chinese: "请以 current_version 提供客户端当前的版本号；其中的加号应写作 %2B。",
}
