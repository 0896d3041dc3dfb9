package intake

import (
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

func TestCheckExtension(t *testing.T) {
	policy := &storage.Policy{Categories: map[storage.Category]storage.CategoryPolicy{
		storage.CategoryImage:    {Extensions: []string{"png", "jpg"}, MaxBytes: 5},
		storage.CategoryDocument: {Extensions: []string{"pdf", "txt", "jpg"}, MaxBytes: 5},
	}}
	accepted := map[string]struct {
		ext      string
		category storage.Category
	}{
		"a.png":       {"png", storage.CategoryImage},
		"a.b.PDF":     {"pdf", storage.CategoryDocument},
		"照片.Txt":      {"txt", storage.CategoryDocument},
		"in both.jpg": {"jpg", storage.CategoryDocument}, // the first by name
	}
	for name, want := range accepted {
		c := &Candidate{Name: name, Policy: policy}
		require.NoError(t, checkExtension(c), name)
		require.Equal(t, want.ext, c.Ext)
		require.Equal(t, want.category, c.Category)
	}

	refused := map[string]storage.Code{
		"a.exe":      storage.CodeExtensionNotAllowed,
		"a.pdf.exe":  storage.CodeExtensionNotAllowed,
		"a.docx":     storage.CodeExtensionNotAllowed, // the category is there, the extension was taken out
		"a.mp4":      storage.CodePlanForbids,         // the plan has no videos
		"a.p\u212af": storage.CodeExtensionNotAllowed,
	}
	for name, code := range refused {
		c := &Candidate{Name: name, Policy: policy}
		require.Equal(t, code, storage.CodeOf(checkExtension(c)), name)
		require.Empty(t, c.Ext)
	}

	refusal := requireRefusal(t, checkExtension(&Candidate{Name: "a.EXE", Policy: policy}), storage.CodeExtensionNotAllowed, "")
	require.Equal(t, storage.Details{"extension": "exe", "allowed": "jpg, pdf, png, txt"}, refusal.Details)
	refusal = requireRefusal(t, checkExtension(&Candidate{Name: "a.mov", Policy: policy}), storage.CodePlanForbids, "")
	require.Equal(t, storage.Details{"extension": "mov", "category": "video"}, refusal.Details)
}
