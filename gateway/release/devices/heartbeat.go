package devices

import (
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/auth"
	"gatehouse/gateway/stream"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

const (
	// maxHeartbeat is the most bytes of a heartbeat. One with the longest values has less than 600, and fits also with each letter
	// written as an escape of six.
	maxHeartbeat = 4 << 10
	// maxOSVersion is what the column holds.
	maxOSVersion = 64
)

// heartbeat is what a device sends.
type heartbeat struct {
	DeviceID      string  `json:"device_id"`
	ClientVersion string  `json:"client_version"`
	Platform      string  `json:"platform"`
	Arch          string  `json:"arch"`
	OSVersion     string  `json:"os_version"`
	Channel       *string `json:"channel"`
}

// The reasons for which a heartbeat is refused beside those of tracks, each named like its field.
var (
	reasonDeviceID = storage.Reason{Slug: "device_id",
		English: "device_id must have 1 to 128 visible ASCII characters without spaces.", Chinese: "device_id 必须是 1 到 128 个可见的 ASCII 字符，不含空格。"}
	reasonClientVersion = storage.Reason{Slug: "client_version",
		English: "client_version must be a semantic version such as 1.4.0 or 2.0.0-beta.1.", Chinese: "client_version 必须是语义化版本号，例如 1.4.0 或 2.0.0-beta.1。"}
	reasonOSVersion = storage.Reason{Slug: "os_version",
		English: "os_version must have 1 to 64 bytes of UTF-8 without control characters.", Chinese: "os_version 必须是 1 到 64 字节的 UTF-8 文本，不含控制字符。"}
)

// read checks the heartbeat and makes of it what is counted. Versions that are equal to node-semver are counted as one.
func (h heartbeat) read() (meta.Heartbeat, error) {
	refuse := func(r storage.Reason) (meta.Heartbeat, error) {
		return meta.Heartbeat{}, storage.Refuse(storage.CodeReleaseHeartbeatInvalid, nil).Because(r)
	}
	channel := release.DefaultChannel
	if h.Channel != nil {
		channel = *h.Channel
	}
	version, ok := release.ParseVersion(h.ClientVersion)
	reason, wrong := release.Track{Channel: channel, Platform: h.Platform, Arch: h.Arch}.Wrong()
	switch {
	case !validDeviceID(h.DeviceID):
		return refuse(reasonDeviceID)
	case !ok:
		return refuse(reasonClientVersion)
	case wrong:
		return refuse(reason)
	case h.OSVersion == "" || len(h.OSVersion) > maxOSVersion || !utf8.ValidString(h.OSVersion) || strings.ContainsFunc(h.OSVersion, unicode.IsControl):
		return refuse(reasonOSVersion)
	}
	return meta.Heartbeat{
		DeviceID: h.DeviceID, Version: version.String(), Channel: channel, Platform: h.Platform, Arch: h.Arch, OSVersion: h.OSVersion,
	}, nil
}

// The reasons for which a tenant's devices are not heard.
var (
	reasonSuspended = storage.Reason{Slug: "tenant_suspended",
		English: "The account that this device belongs to is suspended; its heartbeats are not counted until it is active again.",
		Chinese: "此设备所属的账户已被暂停；恢复之前不计入其心跳。"}
	reasonClosing = storage.Reason{Slug: "tenant_pending_delete",
		English: "The account that this device belongs to has been closed.", Chinese: "此设备所属的账户已被关闭。"}
	reasonFull = storage.Reason{Slug: "devices_full",
		English: "The account has as many devices as it may have; another one is counted when one of them has been silent for 180 days.",
		Chinese: "此账户的设备数已达上限；其中有设备静默满 180 天后，才会计入新设备。"}
	reasonTokensFull = storage.Reason{Slug: "devices_full",
		English: "As many of your devices have tokens as may have any; a device that has none yet gets one when those of another have expired.",
		Chinese: "拥有令牌的设备数已达上限；其他设备的令牌过期后，才能为新设备签发令牌。"}
)

// Heartbeat is POST /api/release/v1/heartbeats/. It is counted when the answer is 202. Heartbeats are not audited: a device sends
// thousands.
func (a *API) Heartbeat(c *fiber.Ctx) error {
	var in heartbeat
	if err := stream.ReadJSON(c, maxHeartbeat, &in); err != nil {
		return err
	}
	h, err := in.read()
	if err != nil {
		return err
	}
	h.TokenHash, h.MaxDevices = auth.FromDevice(c).TokenHash, a.MaxDevices
	ctx, cancel := a.context(c)
	defer cancel()
	end, err := a.DB.DeviceHeartbeat(ctx, h)
	if err != nil {
		return err
	}
	switch end.Result {
	case meta.HeartbeatAccepted:
		return c.Status(http.StatusAccepted).JSON(fiber.Map{"accepted": true})
	case meta.HeartbeatTooMany:
		return storage.Refuse(storage.CodeReleaseRateLimited, storage.Details{
			"limit": int64(meta.HeartbeatsPerMinute), "window": "minute", "retry_after": end.RetryAfter,
		})
	case meta.HeartbeatDenied:
		reason := reasonSuspended
		if end.Tenant == storage.TenantPendingDelete {
			reason = reasonClosing
		}
		return storage.Refuse(storage.CodeReleasePermissionDenied, nil).Because(reason)
	case meta.HeartbeatFull:
		return storage.Refuse(storage.CodeReleasePermissionDenied, nil).Because(reasonFull)
	case meta.HeartbeatBadToken:
	}
	return auth.ErrDeviceToken
}
