package auth

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

func TestOnlyAGenuineLinkSaysThatItExpired(t *testing.T) {
	links := &Links{Secret: []byte("0123456789abcdef0123456789abcdef"), MaxAge: time.Hour}
	now := time.Unix(1_800_000_000, 0)
	link := Link{TenantID: "t", AssetID: "a", Expires: now.Unix() + 1}
	token, err := links.Sign(link)
	require.NoError(t, err)

	got, err := links.Verify(token, now)
	require.NoError(t, err)
	require.Equal(t, link, got)

	_, err = links.Verify(token, now.Add(time.Second))
	require.ErrorContains(t, err, "NOT_FOUND (link_expired)")
	_, err = links.Verify("x"+token, now.Add(time.Second))
	require.Equal(t, storage.ErrNotFound, err, "who cannot sign learns nothing")
}

func TestAnUploadLongerThanAnyFileIsRefusedByItsLength(t *testing.T) {
	p := &Principal{Policy: storage.Policy{Categories: map[storage.Category]storage.CategoryPolicy{
		storage.CategoryImage: {MaxBytes: 100}, storage.CategoryVideo: {MaxBytes: 1000},
	}}}
	require.NoError(t, p.MaySend(1000+formAllowance))
	var refusal *storage.Error
	require.ErrorAs(t, p.MaySend(1001+formAllowance), &refusal)
	require.Equal(t, storage.Details{"limit": int64(1000), "request_bytes": int64(1001 + formAllowance)}, refusal.Details,
		"the length of a request is not the size of its file")
}
