// Command worker does what uploads leave to be done: it scans, makes variants, and keeps rows and store in step.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"gatehouse/configs"
	"gatehouse/worker/tools/sandbox"
	"gatehouse/worker/tools/vips"
)

// version is set by the build (-ldflags "-X main.version=...").
var version = "dev"

// cli is what the command line can say; the tags are its help.
type cli struct {
	Config  string           `help:"Configuration file; also GATEHOUSE_CONFIG. Without one, the defaults and the environment hold." type:"path" placeholder:"FILE"`
	Version kong.VersionFlag `help:"Print the version and exit."`

	Run       runCmd       `cmd:"" help:"Work on tasks until SIGTERM or ctrl-C."`
	Alerts    alertsCmd    `cmd:"" help:"What people have to know: see, acknowledge, and try the channels."`
	Reconcile reconcileCmd `cmd:"" help:"Compare records and store now, see what runs found, and decide about a held one."`
	Snapshot  snapshotCmd  `cmd:"" help:"Snapshots of the database: take, list, verify, restore, remove."`
	Store     storeCmd     `cmd:"" help:"The store of all bytes: copy it to another one."`
}

func main() {
	// What reads foreign bytes is this program again, under a name that is not part of the command line.
	if len(os.Args) > 1 && os.Args[1] == sandbox.ChildCommand {
		os.Exit(sandbox.Main(os.Args[2:], map[string]func(args []string) int{"vips": vips.ChildMain}))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	parsed := kong.Parse(&c, kong.Name("worker"),
		kong.Description("Gatehouse's worker: scans what was uploaded, makes web-ready variants, keeps rows and store in step."),
		kong.Vars{"version": version}, kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)))
	if err := parsed.Run(&c); err != nil {
		fail(err)
	}
}

// fail ends the program with a sentence for whoever started it.
func fail(err error) {
	if problems, ok := errors.AsType[configs.Problems](err); ok {
		fmt.Fprintf(os.Stderr, "worker: %v\n", problems)
	} else {
		fmt.Fprintln(os.Stderr, "worker:", err)
	}
	switch {
	case errors.Is(err, errHeld):
		os.Exit(exitHeld)
	case errors.Is(err, errLost):
		os.Exit(exitLost)
	case errors.Is(err, errNothing):
		os.Exit(exitNothing)
	}
	os.Exit(1)
}

// load reads the configuration as the worker does.
func (c *cli) load() (*configs.Config, error) {
	return configs.Load(configs.ForWorker, c.Config, os.Environ())
}
