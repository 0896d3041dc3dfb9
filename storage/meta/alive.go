package meta

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"gorm.io/gorm"
)

// A program writes a sign of life every aliveEvery; after aliveFor without one it counts as dead: three may be late.
const (
	alivePrefix = "alive."
	aliveEvery  = 10 * time.Second
	aliveFor    = 35 * time.Second
)

// IsSignOfLife reports whether a fact is a program's sign of life.
func (f Fact) IsSignOfLife() bool { return strings.HasPrefix(f.Name, alivePrefix) }

// clock is the SQL of a stamp by the database's clock: the programs' own may differ by more than aliveFor.
func (d Dialect) clock() string { return "(" + d.Epoch() + ") * 1000000" }

// beat writes one sign of life.
func (db *DB) beat(ctx context.Context, name string) error {
	return db.InTx(ctx, func(tx *Tx) error {
		if _, err := insertNew(tx.g, tx.dialect, &Fact{Name: name}); err != nil {
			return err
		}
		_, err := tx.Exec("UPDATE facts SET updated_at = "+tx.dialect.clock()+" WHERE name = ?", name)
		return err
	})
}

// ownName is a name of this call alone: containers are all process 1, and hosts may have long names or the same. Of a long
// one the end is kept, in which pods differ. Facts have names of 64 characters.
func ownName(host string) string {
	end := []rune(host)
	suffix := make([]byte, 4)
	_, _ = rand.Read(suffix) // never fails
	return fmt.Sprintf("%s/%d-%x", string(end[max(0, len(end)-26):]), os.Getpid(), suffix)
}

// KeepAlive tells the other programs that this one works on the database, until stop is called. Program is "gateway",
// "worker", or the command at work; 10 characters at most.
func (db *DB) KeepAlive(ctx context.Context, program string, log *slog.Logger) (stop func(), err error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	name := alivePrefix + program + "." + ownName(host)
	if err := db.beat(ctx, name); err != nil {
		return nil, fmt.Errorf("sign of life: %w", err)
	}
	// It lives as long as the program works, which is longer than ctx: running requests and jobs end after it.
	beating, end := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(aliveEvery)
		defer tick.Stop()
		for {
			select {
			case <-beating.Done():
				return
			case <-tick.C:
			}
			if err := db.beat(beating, name); err != nil && beating.Err() == nil {
				log.Warn("sign of life", "error", err)
			}
		}
	}()
	return func() {
		end()
		<-done
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), aliveEvery)
		defer cancel()
		if _, err := db.Exec(last, "DELETE FROM facts WHERE name = ?", name); err != nil {
			log.Warn("take back the sign of life", "error", err)
		}
	}, nil
}

// Alive lists the programs that work on the database now, as <program>.<host>/<process id>-<a random number>. A database without tables
// has none.
func (db *DB) Alive(ctx context.Context) ([]string, error) {
	out, err := alive(db.g.WithContext(ctx), db.dialect)
	if err != nil {
		if _, empty := db.withoutSchema(ctx); empty {
			return nil, nil
		}
	}
	return out, err
}

// Alive is the same within a transaction: in an exclusive one nobody can come to life until it ends.
func (tx *Tx) Alive() ([]string, error) { return alive(tx.g, tx.dialect) }

func alive(g *gorm.DB, d Dialect) ([]string, error) {
	var list []Fact
	err := g.Where("name LIKE ? AND updated_at > "+d.clock()+" - ?", alivePrefix+"%", aliveFor.Microseconds()).
		Order("name").Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("look for programs that are alive: %w", err)
	}
	out := make([]string, len(list))
	for i, f := range list {
		out[i] = strings.TrimPrefix(f.Name, alivePrefix)
	}
	return out, nil
}
