package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/blob"
)

func TestCopyTold(t *testing.T) {
	for want, done := range map[string]blob.Copied{
		"Copied 0 objects (0 B), skipped 0 objects that the new store has already.\n":                               {},
		"Copied 1 object (5 B), skipped 2 objects that the new store has already and 1 object deleted meanwhile.\n": {Copied: 1, CopiedBytes: 5, There: 2, Gone: 1},
		"not copied: clean/a: rotten\nnot copied: 2 objects more\n" +
			"Copied 2 objects (2.0 KiB), skipped 1 object that the new store has already; 3 objects could not be copied.\n": {
			Copied: 2, CopiedBytes: 2048, There: 1, Failed: 3, Problems: []string{"clean/a: rotten"},
		},
	} {
		require.Equal(t, want, copyTold(done))
	}
}
