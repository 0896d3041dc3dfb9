package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// Checkpoint says, signed: the seal Seq of the chain had this hash. As places have no gaps, Seq is also the number of
// records sealed until then.
type Checkpoint struct {
	ChainID string `json:"chain_id"`
	Seq     int64  `json:"seq"`
	Hash    string `json:"hash"`
	// Watermark is the number up to which no record can come any more: one that is sealed later was put there.
	Watermark int64     `json:"watermark"`
	At        time.Time `json:"at"`
	Signature string    `json:"signature"`
}

func checkpointOf(c meta.AuditCheckpoint) Checkpoint {
	return Checkpoint{ChainID: c.ChainID, Seq: c.Seq, Hash: c.Hash, Watermark: c.Watermark, At: c.At.Time(), Signature: c.Signature}
}

func (c Checkpoint) row() meta.AuditCheckpoint {
	return meta.AuditCheckpoint{Seq: c.Seq, ChainID: c.ChainID, Hash: c.Hash, Watermark: c.Watermark, At: meta.StampOf(c.At), Signature: c.Signature}
}

func (c Checkpoint) statement() []byte {
	return encode(domainCheckpoint, c.ChainID, number(c.Seq), c.Hash, number(c.Watermark), number(meta.StampOf(c.At)))
}

// Signed reports whether the key has signed the checkpoint.
func (c Checkpoint) Signed(p PublicKey) bool { return p.signed(c.statement(), c.Signature) }

func (k *Key) checkpoint(head meta.AuditState, at meta.Stamp) Checkpoint {
	c := Checkpoint{ChainID: head.ChainID, Seq: head.Seq, Hash: head.Hash, Watermark: head.Watermark, At: at.Time()}
	c.Signature = k.sign(c.statement())
	return c
}

// CheckpointsOf lists checkpoints, the last first; before is the place of the one in front, 0 for none.
func CheckpointsOf(ctx context.Context, db *meta.DB, before int64, limit int) ([]Checkpoint, error) {
	rows, err := db.AuditCheckpointsBefore(ctx, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", err)
	}
	out := make([]Checkpoint, len(rows))
	for i, r := range rows {
		out[i] = checkpointOf(r)
	}
	return out, nil
}

// checkpointFolder is where checkpoints lie in the zone, a folder for each chain.
const checkpointFolder = "checkpoints/"

// key is where the checkpoint lies in the zone. Keys of a chain sort by place, and another hash is another key: none
// takes another's place.
func (c Checkpoint) key() string {
	return fmt.Sprintf("%s%s/%020d-%s.json", checkpointFolder, c.ChainID, c.Seq, c.Hash)
}

// parseCheckpointKey reads place and hash out of a key; false for one that is not ours.
func parseCheckpointKey(key string) (c Checkpoint, ok bool) {
	rest, ok := strings.CutPrefix(key, checkpointFolder)
	if !ok {
		return c, false
	}
	chain, name, _ := strings.Cut(rest, "/")
	place, hash, _ := strings.Cut(strings.TrimSuffix(name, ".json"), "-")
	seq, err := strconv.ParseInt(place, 10, 64)
	if err != nil {
		return c, false
	}
	c = Checkpoint{ChainID: chain, Seq: seq, Hash: hash}
	return c, c.key() == key
}

// maxCheckpoint bounds the bytes of one; ours have some 300.
const maxCheckpoint = 4 << 10

// keep puts the checkpoint into the zone, unless the same one is there.
func (c Checkpoint) keep(ctx context.Context, zone blob.Bucket) error {
	_, err := zone.Stat(ctx, c.key())
	if !errors.Is(err, blob.ErrNotExist) {
		return err
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return zone.Put(ctx, c.key(), bytes.NewReader(raw), int64(len(raw)), blob.PutOptions{ContentType: "application/json"})
}

// readCheckpoint reads one from the zone. What is there and is no checkpoint of that key is errForged.
func readCheckpoint(ctx context.Context, zone blob.Bucket, key string) (c Checkpoint, err error) {
	body, _, err := zone.Open(ctx, key, 0, -1)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	raw, err := io.ReadAll(io.LimitReader(body, maxCheckpoint))
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(raw, &c); err != nil || c.key() != key {
		return c, errForged
	}
	return c, nil
}

var errForged = errors.New("it is no checkpoint")

// storedChains lists the chains of which the zone has checkpoints; alien is told of objects that are in no chain's folder.
func storedChains(ctx context.Context, zone blob.Bucket, alien func(key string)) ([]string, error) {
	var out []string
	after := ""
	for {
		next, found := "", false
		for object, err := range zone.List(ctx, checkpointFolder, after) {
			if err != nil {
				return nil, fmt.Errorf("list checkpoints in the store: %w", err)
			}
			next, found = object.Key, true
			break
		}
		if !found {
			return out, nil
		}
		chain, _, folder := strings.Cut(strings.TrimPrefix(next, checkpointFolder), "/")
		if !folder {
			alien(next)
			after = next
			continue
		}
		out = append(out, chain)
		after = checkpointFolder + chain + "0" // the byte behind "/": behind all that the folder has, whoever put it there
	}
}

// stored yields the checkpoints of a chain in the zone behind a place, 0 for all, in the chain's order, with what their keys
// say only; alien is told of other objects.
func stored(ctx context.Context, zone blob.Bucket, chain string, after int64, alien func(key string)) iter.Seq2[Checkpoint, error] {
	prefix := checkpointFolder + chain + "/"
	from := ""
	if after > 0 {
		from = prefix + fmt.Sprintf("%020d-z", after)
	}
	return func(yield func(Checkpoint, error) bool) {
		for object, err := range zone.List(ctx, prefix, from) {
			if err != nil {
				yield(Checkpoint{}, fmt.Errorf("list checkpoints in the store: %w", err))
				return
			}
			c, ok := parseCheckpointKey(object.Key)
			if !ok {
				alien(object.Key)
				continue
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}
