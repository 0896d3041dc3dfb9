package release

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/content"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

// API holds what the handlers need. All fields but PublicURL are required.
type API struct {
	DB    *meta.DB
	Zones *blob.Zones
	Log   *slog.Logger
	// PublicURL begins the addresses that are given out; empty makes them relative to the gateway's root.
	PublicURL string
	// Timeout bounds the database work of one request.
	Timeout time.Duration
	// Mismatched is called for each piece of a file that did not have its digest.
	Mismatched func()
	// Client tells the address of the caller behind trusted proxies.
	Client func(*fiber.Ctx) string
	// RequestID tells the id of the request.
	RequestID func(*fiber.Ctx) string

	catalog catalog
	lists   lists
	// lost are the objects that were found missing.
	lost content.Told
	// flawed are the releases that could not be offered, by id and revision.
	flawed content.Told
}

// Prefix begins the addresses of this API.
const Prefix = "/api/release/v1/"

func (a *API) context(c *fiber.Ctx) (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.UserContext(), a.Timeout)
}

// segment reads a part of the path. What it says is compared with rows and opens nothing by itself; a slash in it, encoded, is
// one more letter that no name has.
func segment(c *fiber.Ctx, name string) string {
	raw := c.Params(name)
	if strings.IndexByte(raw, '%') < 0 {
		return raw
	}
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		return raw
	}
	return decoded
}

// trackOf reads the track of a feed's address, which need not be one.
func trackOf(c *fiber.Ctx) release.Track {
	return release.Track{Channel: segment(c, "channel"), Platform: segment(c, "platform"), Arch: segment(c, "arch")}
}

func noTrack() error { return notFound().Because(reasonTrack) }

func notFound() *storage.Error { return storage.Refuse(storage.CodeReleaseArtifactNotFound, nil) }

var (
	reasonTrack = storage.Reason{
		Slug: "track_unknown",
		English: "A feed's address is feed/{channel}/{platform}/{arch}/: the platform is win32, darwin or linux, the arch is x64, x86 or arm64, " +
			"and the channel is lower-case letters, digits and hyphens.",
		Chinese: "更新源地址为 feed/{channel}/{platform}/{arch}/：platform 为 win32、darwin 或 linux，arch 为 x64、x86 或 arm64，channel 由小写字母、数字和连字符组成。",
	}
	reasonWithdrawn = storage.Reason{
		Slug:    "withdrawn",
		English: "It is not available at the moment; ask the feed what is.",
		Chinese: "该文件目前不可用；请查询更新源以获取可用版本。",
	}
)
