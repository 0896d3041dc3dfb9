package upload

import (
	"github.com/dunglas/httpsfv"
	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/intake"
)

// claimedDigests reads Content-Digest and Repr-Digest (RFC 9530). In this API both speak of the file's bytes,
// not of the form around them. Algorithms that are unknown or deprecated are ignored, as the RFC says.
func claimedDigests(c *fiber.Ctx) ([]intake.Digest, error) {
	var out []intake.Digest
	for _, header := range []string{"Content-Digest", "Repr-Digest"} {
		value := c.Get(header)
		if value == "" {
			continue
		}
		dict, err := httpsfv.UnmarshalDictionary([]string{value})
		if err != nil {
			return nil, malformedDigest()
		}
		for _, algorithm := range dict.Names() {
			if algorithm != intake.DigestSHA256 && algorithm != intake.DigestSHA512 {
				continue
			}
			member, _ := dict.Get(algorithm)
			item, ok := member.(httpsfv.Item)
			if !ok {
				return nil, malformedDigest()
			}
			sum, ok := item.Value.([]byte)
			if !ok {
				return nil, malformedDigest()
			}
			out = append(out, intake.Digest{Algorithm: algorithm, Value: sum})
		}
	}
	return out, nil
}

func malformedDigest() error {
	return malformed("digest_header",
		"The digest header is not written as RFC 9530 says; an example: Repr-Digest: sha-256=:<base64>:.",
		"摘要标头不符合 RFC 9530 的写法；示例：Repr-Digest: sha-256=:<base64>:。")
}
