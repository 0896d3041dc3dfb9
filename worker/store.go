package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/dustin/go-humanize"

	"gatehouse/boot"
	"gatehouse/configs"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

type storeCmd struct {
	Copy storeCopyCmd `cmd:"" help:"Copy the whole store (quarantine, clean, snapshots) to that of another configuration. Can be stopped and begun again; removes nothing."`
}

type storeCopyCmd struct {
	To       string `required:"" type:"path" placeholder:"FILE" help:"Configuration file of the new store. Of the environment only variables that begin with TO_GATEHOUSE_ count for it, as TO_GATEHOUSE_STORE_S3_SECRET_KEY."`
	Verify   bool   `help:"Also read what is there already and compare its SHA-256; without this the same size is the same object."`
	Parallel int    `default:"8" help:"How many objects are on their way at once."`
	JSON     bool   `help:"Print the report as JSON."`
}

// progressEvery is how many objects there are between two lines of progress.
const progressEvery = 1000

// Run copies the store.
func (s storeCopyCmd) Run(ctx context.Context, c *cli) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	target, err := configs.Load(configs.ForCommands, s.To, environmentOfTarget(os.Environ()))
	if err != nil {
		return fmt.Errorf("the new store's configuration: %w", err)
	}
	log := boot.Logger(cfg)
	db, from, closeStore, err := openStore(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer closeStore()
	if err := warnOfLife(ctx, db); err != nil {
		return err
	}
	sayDead, err := db.KeepAlive(ctx, "store-copy", log)
	if err != nil {
		return err
	}
	defer sayDead()
	to, err := boot.Zones(ctx, target)
	if err != nil {
		return fmt.Errorf("the new store: %w", err)
	}
	options := blob.CopyOptions{Parallel: s.Parallel, Verify: s.Verify, Progress: func(sofar blob.Copied) {
		if sofar.Objects%progressEvery == 0 {
			fmt.Fprintf(os.Stderr, "worker: %d objects, %s\n", sofar.Objects, humanize.IBytes(uint64(sofar.Bytes)))
		}
	}}
	done, err := blob.CopyStore(ctx, from, to, options)
	if err == nil && !done.Complete() {
		err = fmt.Errorf("the new store is not complete: %s of the old one could not be copied", count(done.Failed, "object"))
	}
	if err == nil {
		_, _ = fmt.Fprintf(os.Stderr, "worker: when the records are restored there too: export GATEHOUSE_CONFIG=%s; commands without it go on working on the old place\n", s.To)
	}
	return errors.Join(s.tell(done), recordCopy(context.WithoutCancel(ctx), db, target, done, err), to.Close(), err)
}

// environmentOfTarget keeps the new store's variables apart from this one's.
func environmentOfTarget(environ []string) (out []string) {
	for _, v := range environ {
		if name, ok := strings.CutPrefix(v, "TO_"); ok {
			out = append(out, name)
		}
	}
	return out
}

// warnOfLife: what programs store while a copy runs may be missed by it.
func warnOfLife(ctx context.Context, db *meta.DB) error {
	alive, err := db.Alive(ctx)
	if err == nil && len(alive) > 0 {
		fmt.Fprintf(os.Stderr, "worker: these programs work on the store: %s; what they change meanwhile may be missing in the copy: stop them and copy once more before you move\n",
			strings.Join(alive, ", "))
	}
	return err
}

func (s storeCopyCmd) tell(done blob.Copied) error {
	if s.JSON {
		return json.NewEncoder(os.Stdout).Encode(done)
	}
	_, err := os.Stdout.WriteString(copyTold(done))
	return err
}

// copyTold says what was copied, what not, and why.
func copyTold(done blob.Copied) string {
	var b strings.Builder
	for _, p := range done.Problems {
		_, _ = fmt.Fprintln(&b, "not copied:", p)
	}
	if more := done.Failed - int64(len(done.Problems)); more > 0 {
		_, _ = fmt.Fprintf(&b, "not copied: %s more\n", count(more, "object"))
	}
	_, _ = fmt.Fprintf(&b, "Copied %s (%s), skipped %s that the new store has already", count(done.Copied, "object"),
		humanize.IBytes(uint64(done.CopiedBytes)), count(done.There, "object"))
	if done.Gone > 0 {
		_, _ = fmt.Fprintf(&b, " and %s deleted meanwhile", count(done.Gone, "object"))
	}
	if done.Failed > 0 {
		_, _ = fmt.Fprintf(&b, "; %s could not be copied", count(done.Failed, "object"))
	}
	_, _ = fmt.Fprintln(&b, ".")
	return b.String()
}

// count is a number with its noun.
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// recordCopy writes the copy into the audit log; failed is why it is not complete.
func recordCopy(ctx context.Context, db *meta.DB, target *configs.Config, done blob.Copied, failed error) error {
	result, data := audit.OK, map[string]any{"objects": done.Objects, "copied": done.Copied, "gone_meanwhile": done.Gone, "failed": done.Failed}
	if failed != nil {
		result, data["problem"] = audit.Failed, failed.Error()
	}
	return db.InTx(ctx, func(tx *meta.Tx) error {
		return audit.Write(tx, audit.Entry{Actor: operator(), Action: "store.copy", Target: target.Store.Driver, Result: result, Data: data})
	})
}
