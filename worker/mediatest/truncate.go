package mediatest

import "iter"

// CutPoints is how many beginnings of a file Truncations gives.
const CutPoints = 20

// Truncations are beginnings of a file, each with its length: half of them spread over the whole file, half over the
// first 512 bytes and the last few, where headers and trailers are.
func Truncations(file []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for i := range CutPoints {
			n := (i - 9) * len(file) / 10
			switch {
			case i < 6:
				n = min(len(file), 512) * (i + 1) / 8
			case i < 10:
				n = len(file) - 1<<(2*(i-6)) // 1, 4, 16, 64 bytes
			case i == CutPoints-1:
				n = len(file) - 2
			}
			n = max(0, min(n, len(file)-1))
			if !yield(n, file[:n:n]) {
				return
			}
		}
	}
}
