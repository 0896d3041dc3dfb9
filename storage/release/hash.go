package release

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/release/manifest"
)

// sums are what one pass over a file finds out.
type sums struct {
	size           int64
	sha256, sha512 string
	// pieces are the SHA-256 of each PieceBytes, one behind the other.
	pieces []byte
	// head is the beginning of the file, as much as was asked for.
	head []byte
}

// sum reads to the end in constant memory but for the head and 32 bytes a piece. It gives up behind limit bytes, where the file
// should have ended.
func sum(ctx context.Context, r io.Reader, limit int64, keep int) (sums, error) {
	var s sums
	whole, long := sha256.New(), sha512.New()
	piece := make([]byte, PieceBytes)
	for {
		if err := ctx.Err(); err != nil { // a file on disk does not know of it
			return s, err
		}
		n, err := io.ReadFull(r, piece)
		if n > 0 {
			part := piece[:n]
			s.size += int64(n)
			_, _ = whole.Write(part) // a hash does not fail
			_, _ = long.Write(part)
			digest := sha256.Sum256(part)
			s.pieces = append(s.pieces, digest[:]...)
			s.head = append(s.head, part[:min(n, max(0, keep-len(s.head)))]...)
		}
		// Not errors.Is: a store that was interrupted wraps such an end, and that is not the end of the file.
		if err == io.EOF || err == io.ErrUnexpectedEOF || s.size > limit {
			break
		}
		if err != nil {
			return s, err
		}
	}
	s.sha256, s.sha512 = hex.EncodeToString(whole.Sum(nil)), hex.EncodeToString(long.Sum(nil))
	return s, nil
}

// sumOf reads the object of a file from the clean zone. An object that is missing is damage, and no error.
func sumOf(ctx context.Context, zones *blob.Zones, f meta.ArtifactFacts, keep int) (s sums, damage storage.Damage, err error) {
	body, info, err := zones.Clean.Open(ctx, storage.BlobKey(PlatformTenant, f.SHA256), 0, -1)
	switch {
	case errors.Is(err, blob.ErrNotExist):
		return s, storage.DamageMissing, nil
	case err != nil:
		return s, "", fmt.Errorf("open %q: %w", f.Name, err)
	case info.Size != f.Size:
		return s, storage.DamageSize, body.Close()
	}
	s, err = sum(ctx, body, f.Size, keep)
	if err = errors.Join(err, body.Close()); err != nil {
		return s, "", fmt.Errorf("read %q: %w", f.Name, err)
	}
	switch {
	case s.size != f.Size:
		damage = storage.DamageSize
	case s.sha256 != f.SHA256:
		damage = storage.DamageDigest
	}
	return s, damage, nil
}

// hash reads every file of the release and holds it against what is known of it.
func (x *Examined) hash(ctx context.Context, zones *blob.Zones) error {
	for i, f := range x.Files {
		s, whole, err := x.sum(ctx, zones, f)
		if err != nil {
			return err
		}
		if !whole {
			continue
		}
		x.Files[i].SHA512 = s.sha512
		x.digests = append(x.digests, meta.ReleaseDigests{
			SHA256: f.SHA256, PieceBytes: PieceBytes, Digests: base64.StdEncoding.EncodeToString(s.pieces), CreatedAt: meta.Now(),
		})
		if Kind(f.Kind) == Manifest {
			x.uploaded = s.head
		}
	}
	return nil
}

// sum reads a file of the release, and adds a problem when it is not what is known of it, at a second look too: the store may have
// been interrupted or may have brought the right bytes back. Of a manifest it keeps the text.
func (x *Examined) sum(ctx context.Context, zones *blob.Zones, f meta.ArtifactFacts) (s sums, whole bool, err error) {
	keep := 0
	if Kind(f.Kind) == Manifest {
		keep = manifest.MaxBytes + 1
	}
	s, damage, err := sumOf(ctx, zones, f, keep)
	if damage != "" && err == nil {
		s, damage, err = sumOf(ctx, zones, f, keep)
	}
	if err != nil || damage == "" && (f.SHA512 == "" || s.sha512 == f.SHA512) {
		return s, err == nil, err
	}
	x.Problems = append(x.Problems, Problem{slugChecksum, f.Name,
		fmt.Sprintf("What is stored of %q is not what was uploaded: its size or its checksum has changed.", f.Name),
		fmt.Sprintf("%q 的存储内容与上传时不同：大小或校验和已改变。", f.Name)})
	if damage != "" {
		x.damaged = append(x.damaged, found{*f.Blob, damage})
	}
	return s, false, nil
}

// slugChecksum is the problem of a file whose bytes are others than those that were uploaded.
const slugChecksum = "checksum_mismatch"

// found is damage that was found, of a blob as it was seen.
type found struct {
	blob   meta.Blob
	damage storage.Damage
}
