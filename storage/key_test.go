package storage

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseKey(t *testing.T) {
	digest := strings.Repeat("0123456789abcdef", 4)
	blob := BlobKey("t", digest)
	for key, want := range map[string]Key{
		blob: {TenantID: "t", SHA256: digest},
		VariantKey("t", digest, "w320", VariantTag(digest), "webp"): {TenantID: "t", SHA256: digest, Preset: "w320", Tag: digest[:12], Ext: "webp"},
		VariantKey("t", digest, "w320", "", "webp"):                 {TenantID: "t", SHA256: digest, Preset: "w320", Ext: "webp"},
		blob + ".w320.webp.x":                                       {},
		"t/zz/" + digest:                                            {},
		"t/" + digest:                                               {},
		digest:                                                      {},
		"":                                                          {},
		"/01/" + digest:                                             {},
		blob + "/x":                                                 {},
		blob + ".w320":                                              {},
		blob + "..webp":                                             {},
		blob + ".":                                                  {},
		BlobKey("t", digest[:63]+"G"):                               {},
		BlobKey("t", digest[:62]):                                   {},
		"t/u/" + digest[:2] + "/" + digest:                          {},
		TrashKey(ZoneClean, blob):                                   {},
		blob + ".w320." + digest[:13] + ".webp":                     {},
		blob + ".w320." + digest[:11] + "g.webp":                    {},
		blob + ".w320." + digest[:12] + ".webp.xx":                  {},
	} {
		got, ok := ParseKey(key)
		require.Equal(t, want.TenantID != "", ok, key)
		require.Equal(t, want, got, key)
	}
}
