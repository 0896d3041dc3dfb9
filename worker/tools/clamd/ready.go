package clamd

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"gatehouse/storage"
)

// eicar is the standard anti-virus test file: harmless, and found by every scanner (eicar.org).
const eicar = `X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`

// knownGood must be clean. It is longer than the five bytes that clamd never looks at.
var knownGood = []byte("Gatehouse asks whether the scanner is ready: this text is harmless.\n")

// nestedZips is deeper than any MaxRecursion (at most 100).
const nestedZips = 101

// Status is what a ready scanner is, for logs and metrics.
type Status struct {
	// Engine is clamd's name and version.
	Engine string
	// Database is the fingerprint of its signature database.
	Database string
	// TestSignaturesOnly is true when it has only the bundled test signatures: it finds no real threat.
	TestSignaturesOnly bool
}

// Ready is nil when clamd can be trusted with files now: see Check.
func (s *Scanner) Ready(ctx context.Context) error {
	_, err := s.Check(ctx)
	return err
}

// Check scans samples with known verdicts and returns who answered. PING proves nothing: clamd answers it
// while every scan fails. Besides one bad and one good sample, one is encrypted and one nested too deeply,
// because without the settings AlertEncrypted and AlertExceedsMax clamd calls these clean.
func (s *Scanner) Check(ctx context.Context) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	v, err := s.version(ctx)
	if err != nil {
		return Status{}, fmt.Errorf("scanner readiness: %w", err)
	}
	nested, err := nest(knownGood, nestedZips)
	if err != nil {
		return Status{}, fmt.Errorf("scanner readiness: %w", err)
	}
	encrypted, err := storedZip(knownGood, 0x1)
	if err != nil {
		return Status{}, fmt.Errorf("scanner readiness: %w", err)
	}
	for _, sample := range []struct {
		name  string
		bytes []byte
		want  storage.ScanStatus
	}{
		{"the known good sample", knownGood, storage.ScanClean},
		{"the EICAR test file", []byte(eicar), storage.ScanInfected},
		{"an encrypted archive (set AlertEncrypted yes)", encrypted, storage.ScanUnscannable},
		{"an archive nested too deeply (set AlertExceedsMax yes)", nested, storage.ScanUnscannable},
	} {
		if err := s.canary(ctx, sample.bytes, sample.want); err != nil {
			return Status{}, fmt.Errorf("scanner readiness: %s: %w", sample.name, err)
		}
	}
	if err := s.checkStreamLimit(ctx); err != nil {
		return Status{}, fmt.Errorf("scanner readiness: %w", err)
	}
	return Status{v.engine, v.database, strings.HasPrefix(v.database, TestSignaturesPrefix)}, nil
}

// canary scans one sample and wants that status.
func (s *Scanner) canary(ctx context.Context, sample []byte, want storage.ScanStatus) error {
	seen, err := s.lookAtSample(ctx, sample)
	if err != nil {
		return err
	}
	if seen.status != want {
		return fmt.Errorf("clamd says %s where %s is right", seen.status, want)
	}
	return nil
}

func (s *Scanner) lookAtSample(ctx context.Context, sample []byte) (look, error) {
	size := int64(len(sample))
	if s.network == "tcp" {
		return s.lookAtStream(ctx, bytes.NewReader(sample), size)
	}
	f, err := spool(newMeter(ctx, bytes.NewReader(sample), size), s.tempDir)
	if err != nil {
		return look{}, err
	}
	seen, err := s.lookAtFile(ctx, f, size)
	return seen, errors.Join(err, f.Close())
}

// checkStreamLimit compares a TCP clamd's StreamMaxLength with the upload cap; FILDES knows no such limit.
func (s *Scanner) checkStreamLimit(ctx context.Context) error {
	if s.network != "tcp" || s.maxFileBytes == 0 {
		return nil
	}
	fits, err := s.streamFits(ctx, s.maxFileBytes)
	if err != nil {
		return err
	}
	if !fits {
		return fmt.Errorf("clamd's StreamMaxLength is below the largest upload of %d bytes", s.maxFileBytes)
	}
	return nil
}

// nest wraps content into depth ZIP archives, one inside the other.
func nest(content []byte, depth int) ([]byte, error) {
	for range depth {
		outer, err := storedZip(content, 0)
		if err != nil {
			return nil, err
		}
		content = outer
	}
	return content, nil
}

// storedZip makes a ZIP archive with one stored member that bears the flags; flag 0x1 says "encrypted".
func storedZip(content []byte, flags uint16) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	size := uint64(len(content))
	member, err := w.CreateRaw(&zip.FileHeader{
		Name: "inner.zip", Flags: flags, Method: zip.Store, CRC32: crc32.ChecksumIEEE(content),
		CompressedSize64: size, UncompressedSize64: size,
	})
	if err != nil {
		return nil, err
	}
	if _, err := member.Write(content); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}
