// Command gateway is the process that faces the internet: pure Go, no parser of foreign bytes in C.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"gatehouse/configs"
	"gatehouse/storage"
)

// version is set by the build (-ldflags "-X main.version=...").
var version = "dev"

// cli is what the command line can say; the tags are its help.
type cli struct {
	Config  string           `help:"Configuration file; also GATEHOUSE_CONFIG. Without one, the defaults and the environment hold." type:"path" placeholder:"FILE"`
	Version kong.VersionFlag `help:"Print the version and exit."`

	Serve   serveCmd   `cmd:"" help:"Serve the HTTP API until SIGTERM or ctrl-C."`
	Migrate migrateCmd `cmd:"" help:"Bring the database schema up to date and seed the plans. Safe to repeat."`
	Tenant  tenantCmds `cmd:"" help:"Tenants: make, list, change, suspend, delete."`
	Plan    planCmds   `cmd:"" help:"Plans: what their tenants may do."`
	Key     struct {
		Create keyCreateCmd `cmd:"" help:"Create a further API key for a tenant and print it; it is shown this once."`
		List   keyListCmd   `cmd:"" help:"List the API keys of a tenant; not the keys themselves, which are stored nowhere."`
		Revoke keyRevokeCmd `cmd:"" help:"Revoke an API key. It is refused from the next request on."`
	} `cmd:"" help:"API keys."`
	Asset struct {
		List assetListCmd `cmd:"" help:"List the files of a tenant, newest first: names, states, verdicts. Those that are deleted are not listed."`
	} `cmd:"" help:"The files of tenants."`
	Task     taskCmds     `cmd:"" help:"Tasks: what is still to be done, and what could not be."`
	Lane     laneCmds     `cmd:"" help:"Lanes: the queues of tasks."`
	Operator operatorCmds `cmd:"" help:"Operators: the people who run the platform, and where they may come from."`
	Audit    auditCmds    `cmd:"" help:"The audit log: who changed, uploaded, deleted or was refused what, and why; and the proof that nobody changed it."`
	Openapi  openapiCmd   `cmd:"" help:"Print the OpenAPI document that /openapi.yaml serves; with --admin, that of the admin API."`
	Conf     struct {
		Print configPrintCmd `cmd:"" help:"Print the configuration in force, secrets masked."`
	} `cmd:"" name:"config" help:"Configuration."`

	// out is where commands print.
	out io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c := cli{out: os.Stdout}
	parser := newParser(ctx, &c)
	parsed, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	if err := parsed.Run(&c); err != nil {
		fail(err)
	}
}

// newParser makes the command line.
func newParser(ctx context.Context, c *cli) *kong.Kong {
	return kong.Must(c, kong.Name("gateway"),
		kong.Description("Gatehouse's gateway: takes files from applications and lets only safe ones through."),
		kong.Vars{"version": version}, kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)))
}

// fail ends the program with a sentence for whoever started it.
func fail(err error) {
	fmt.Fprintln(os.Stderr, "gateway:", sentence(err))
	os.Exit(1)
}

// sentence is what an error says to people: of a refusal its reason, else everything.
func sentence(err error) string {
	if e, ok := errors.AsType[*storage.Error](err); ok && e.Reason != nil && e.Cause == nil {
		return e.Reason.English
	}
	return err.Error()
}

// load reads the configuration for serving or for a command.
func (c *cli) load(program configs.Program) (*configs.Config, error) {
	return configs.Load(program, c.Config, os.Environ())
}
