package intake

import (
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

func TestSize(t *testing.T) {
	policy := &storage.Policy{Categories: map[storage.Category]storage.CategoryPolicy{storage.CategoryImage: {MaxBytes: 100}}}
	tests := []struct {
		size int64
		code storage.Code
	}{
		{0, storage.CodeFileEmpty}, {1, ""}, {100, ""}, {101, storage.CodeFileTooLarge}, {1 << 62, storage.CodeFileTooLarge},
	}
	for _, tt := range tests {
		c := &Candidate{Policy: policy, Category: storage.CategoryImage, DeclaredSize: tt.size, Size: tt.size}
		require.Equal(t, tt.code, storage.CodeOf(checkDeclaredSize(c)), tt.size)
		require.Equal(t, tt.code, storage.CodeOf(checkSize(c)), tt.size)
	}

	c := &Candidate{Policy: policy, Category: storage.CategoryImage, DeclaredSize: -1, Size: 101}
	require.NoError(t, checkDeclaredSize(c), "an unknown size is counted later")
	refusal := requireRefusal(t, checkSize(c), storage.CodeFileTooLarge, "")
	require.Equal(t, storage.Details{"limit": int64(100), "size": int64(101), "category": "image"}, refusal.Details)

	c = &Candidate{Policy: policy, Category: storage.CategoryImage, DeclaredSize: 101, SizeIsBound: true}
	refusal = requireRefusal(t, checkDeclaredSize(c), storage.CodeFileTooLarge, "")
	require.Equal(t, storage.Details{"limit": int64(100), "category": "image"}, refusal.Details, "a bound is not the size")
}
