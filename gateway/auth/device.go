package auth

import (
	"github.com/gofiber/fiber/v2"

	"gatehouse/storage"
)

// devicePrefix makes a leaked device token recognisable, and the audit log mask it.
const devicePrefix = "ghd_"

// NewDeviceToken makes a device token and the hash that is stored in its place.
func NewDeviceToken() (token, hash string) { return newSecret(devicePrefix) }

// Device is who a request says to come from that has a device token.
type Device struct {
	// TokenHash finds the token. Whether there is such a token, and whose, is found out by the statement that does what the
	// device asks for: a heartbeat is one round trip to the database.
	TokenHash string
}

// ErrDeviceToken refuses every device token that is none, for one and the same reason.
var ErrDeviceToken = storage.Refuse(storage.CodeReleaseDeviceTokenInvalid, nil)

// DeviceOf reads an Authorization header. What cannot be a device token is ErrDeviceToken.
func DeviceOf(authorization string) (Device, error) {
	token := bearer(authorization)
	if !wellFormed(token, devicePrefix) {
		return Device{}, ErrDeviceToken
	}
	return Device{TokenHash: HashKey(token)}, nil
}

type deviceKey struct{}

// PutDevice keeps the device with its request.
func PutDevice(c *fiber.Ctx, d Device) { c.Locals(deviceKey{}, d) }

// FromDevice gives the device of a request that passed the guard of its route.
func FromDevice(c *fiber.Ctx) Device {
	d, ok := c.Locals(deviceKey{}).(Device)
	if !ok {
		panic("auth.FromDevice on a route without a guard") // Mount refuses those
	}
	return d
}
