package clamd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// firstPause is the wait before the first restart; it doubles up to lastPause.
	firstPause = 500 * time.Millisecond
	lastPause  = 30 * time.Second
	// steady is how long clamd must have lived for its death to count as a new trouble.
	steady = time.Minute
	// stopGrace is how long clamd has between SIGTERM and SIGKILL. It has nothing to save.
	stopGrace = 5 * time.Second
	// watchEvery is how often the machine's database folder is looked at.
	watchEvery = time.Minute
)

// DaemonConfig says how to run clamd as a child of the worker.
type DaemonConfig struct {
	// Dir is the private folder for its configuration, socket and temporary files. When a socket's path does
	// not fit there, or clamd's user cannot get there, a folder in the system's temporary folder takes its place.
	Dir string
	// Databases is the folder of the official signatures; "" means /var/lib/clamav. Without a *.cvd, *.cld
	// or *.cud in it, the bundled test signatures are used, until one appears.
	Databases string
	// Executable is clamd; "" means the one in PATH or /usr/sbin.
	Executable string
	// MaxFileBytes is the largest file to be scanned: the largest upload of any plan. 0 means 100 MiB.
	MaxFileBytes int64
	// MaxUnpackedBytes bounds what one file unpacks to; 0 means four times MaxFileBytes, at least 400 MiB.
	MaxUnpackedBytes int64
	// MaxScanTime bounds clamd's work on one file; 0 means two minutes.
	MaxScanTime time.Duration
	// Threads is the number of scans at once; 0 means one a CPU, at least two.
	Threads int
	Log     *slog.Logger
}

func (c DaemonConfig) withDefaults() (DaemonConfig, error) {
	c.Databases = cmp.Or(c.Databases, systemDatabases)
	c.MaxFileBytes = cmp.Or(c.MaxFileBytes, defaultMaxFileBytes)
	c.MaxUnpackedBytes = cmp.Or(c.MaxUnpackedBytes, max(4*c.MaxFileBytes, minUnpackedBytes))
	c.MaxScanTime = cmp.Or(c.MaxScanTime, defaultMaxScanTime)
	c.Threads = cmp.Or(c.Threads, max(2, runtime.NumCPU()))
	c.Log = cmp.Or(c.Log, slog.Default())
	if c.Dir == "" {
		return c, errors.New("clamd needs a folder")
	}
	if c.MaxFileBytes < 0 || c.MaxFileBytes > maxClamdBytes {
		return c, fmt.Errorf("clamd cannot scan files of %d bytes; its limit is %d", c.MaxFileBytes, maxClamdBytes)
	}
	if c.Executable == "" {
		found, err := exec.LookPath("clamd")
		if err != nil {
			found = "/usr/sbin/clamd" // not in an ordinary user's PATH
		}
		c.Executable = found
	}
	if _, err := exec.LookPath(c.Executable); err != nil {
		return c, fmt.Errorf("clamd is not installed: %w", err)
	}
	return c, nil
}

// Daemon is a clamd that runs as a child process, and is started again whenever it dies.
type Daemon struct {
	cfg        DaemonConfig
	places     places
	watchEvery time.Duration
	stop       context.CancelFunc
	stopped    chan struct{}
	closeOnce  sync.Once
	closeErr   error
	lock       *os.File
	// loaded is what the clamd that runs now was started with, nil while none runs.
	loaded atomic.Pointer[loaded]
}

type loaded struct {
	database
	print string
	pid   int
}

// StartDaemon starts clamd and keeps it running until ctx ends or Close is called. It returns at once, before
// clamd has loaded its database (the official one takes half a minute); until then scans answer
// ErrUnavailable, and Scanner.Ready tells.
func StartDaemon(ctx context.Context, cfg DaemonConfig) (*Daemon, error) {
	return startDaemon(ctx, cfg, watchEvery)
}

func startDaemon(ctx context.Context, cfg DaemonConfig, watchEvery time.Duration) (*Daemon, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p, err := choosePlaces(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if err := p.prepare(); err != nil {
		return nil, err
	}
	lock, err := p.lock()
	if err != nil {
		return nil, err
	}
	// A first configuration now, so that an impossible one stops the start instead of looping.
	if _, err := render(cfg.settings(p, database{folder: p.bundled})); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if os.Geteuid() == 0 && p.credential == nil {
		cfg.Log.Warn("clamd runs as root: there is no user "+clamdUser+" that can reach its folder", "folder", p.folder)
	}
	ctx, stop := context.WithCancel(ctx)
	d := &Daemon{cfg: cfg, places: p, watchEvery: watchEvery, stop: stop, stopped: make(chan struct{}), lock: lock}
	go d.supervise(ctx)
	return d, nil
}

// Address is where its Scanner finds it (Config.Address). It stays the same over restarts.
func (d *Daemon) Address() string { return "unix://" + d.places.socket }

// Fingerprint names the database it has loaded (Config.Fingerprint). It is an error while clamd is down.
func (d *Daemon) Fingerprint(context.Context) (string, error) {
	now := d.loaded.Load()
	if now == nil {
		return "", errors.New("clamd is not running")
	}
	return now.print, nil
}

// TestSignaturesOnly reports that it runs with the bundled test signatures and finds no real threat.
func (d *Daemon) TestSignaturesOnly() bool {
	now := d.loaded.Load()
	return now != nil && now.testOnly
}

// Close stops clamd, waits until it is gone and removes what it leaves behind.
func (d *Daemon) Close() error {
	d.closeOnce.Do(func() {
		d.stop()
		<-d.stopped
		err := os.RemoveAll(d.places.private)
		if abs, absErr := filepath.Abs(d.cfg.Dir); absErr == nil && abs != d.places.folder {
			err = errors.Join(err, os.RemoveAll(d.places.folder)) // the stand-in folder is ours alone
		}
		d.closeErr = errors.Join(err, d.lock.Close())
	})
	return d.closeErr
}

// supervise runs clamd again and again until ctx ends.
func (d *Daemon) supervise(ctx context.Context) {
	defer close(d.stopped)
	// The kernel sends Pdeathsig when the thread that started the child ends, not the process; Go ends idle
	// threads at will. So this goroutine keeps its thread while it starts and awaits children.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pause := firstPause
	for ctx.Err() == nil {
		began := time.Now()
		err := d.run(ctx)
		d.loaded.Store(nil)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errNewDatabase) {
			d.cfg.Log.Info("the signature database changed: starting clamd again")
			continue
		}
		if time.Since(began) > steady {
			pause = firstPause
		}
		d.cfg.Log.Error("clamd ended, starting it again", "error", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, lastPause)
	}
}

// run starts clamd with the database of the moment and returns when it has ended, always with an error.
func (d *Daemon) run(ctx context.Context) error {
	db, err := d.configure()
	if err != nil {
		return err
	}
	now := &loaded{database: db}
	if !db.named {
		if now.print, err = db.fingerprint(); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cmd := d.command(ctx)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start clamd: %w", err)
	}
	now.pid = cmd.Process.Pid
	d.loaded.Store(now)
	d.announce(now)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		d.watch(ctx, db, stop)
	}()
	err = cmd.Wait()
	stop(nil)
	<-watched
	// Whatever it may have started goes with it. ESRCH, the ordinary case, says that nothing is left.
	if kill := syscall.Kill(-now.pid, syscall.SIGKILL); kill != nil && kill != syscall.ESRCH {
		err = errors.Join(err, fmt.Errorf("end clamd's process group: %w", kill))
	}
	if cause := context.Cause(ctx); errors.Is(cause, errNewDatabase) {
		return cause
	}
	if err == nil {
		err = errors.New("exit status 0")
	}
	return fmt.Errorf("clamd: %w", err)
}

// configure empties the private folder, chooses the database and writes clamd.conf.
func (d *Daemon) configure() (database, error) {
	if err := d.places.fresh(); err != nil {
		return database{}, err
	}
	db, err := chooseDatabase(d.cfg.Databases, d.places.bundled)
	if err != nil {
		return database{}, err
	}
	if db.testOnly {
		if err := writeTestSignatures(d.places.bundled); err != nil {
			return database{}, err
		}
	}
	text, err := render(d.cfg.settings(d.places, db))
	if err != nil {
		return database{}, err
	}
	if err := writeFor(d.places.conf, []byte(text)); err != nil {
		return database{}, fmt.Errorf("write clamd.conf: %w", err)
	}
	return db, nil
}

func (d *Daemon) command(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, d.cfg.Executable, "--config-file="+d.places.conf)
	cmd.Dir = d.places.private
	cmd.Env = []string{} // it needs none, and the worker's holds secrets
	cmd.Stdout = &lineLog{log: d.cfg.Log}
	cmd.Stderr = cmd.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:    true,            // a signal to the worker's group is not for clamd
		Pdeathsig:  syscall.SIGKILL, // a killed worker leaves no clamd behind
		Credential: d.places.credential,
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	return cmd
}

func (d *Daemon) announce(now *loaded) {
	d.cfg.Log.Info("clamd started", "pid", now.pid, "socket", d.places.socket, "database", now.folder)
	if now.testOnly {
		d.cfg.Log.Warn("NO VIRUS SIGNATURES: clamd has only the bundled test signatures and finds no real threat; "+
			"install the official database with freshclam", "looked_in", d.cfg.Databases)
	}
}

// errNewDatabase ends a clamd that should be started again with another database.
var errNewDatabase = errors.New("the signature database changed")

// watch ends clamd when it should load another database that it would not notice by itself: the official one
// has appeared, or one without "daily" has changed.
func (d *Daemon) watch(ctx context.Context, db database, stop context.CancelCauseFunc) {
	if db.named {
		return // clamd's own SelfCheck reloads it, and VERSION tells
	}
	tick := time.NewTicker(d.watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		next, err := chooseDatabase(d.cfg.Databases, d.places.bundled)
		if err != nil {
			d.cfg.Log.Warn("cannot look for a new signature database", "error", err)
			continue
		}
		if next != db {
			stop(errNewDatabase)
			return
		}
	}
}
