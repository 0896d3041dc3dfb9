// Command gateway is the process that faces the internet: pure Go, no parser of foreign bytes in C.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"gatehouse/configs"
)

// version is set by the build (-ldflags "-X main.version=...").
var version = "dev"

// cli is what the command line can say; the tags are its help.
type cli struct {
	Config  string           `help:"Configuration file; also GATEHOUSE_CONFIG. Without one, the defaults and the environment hold." type:"path" placeholder:"FILE"`
	Version kong.VersionFlag `help:"Print the version and exit."`

	Serve   serveCmd   `cmd:"" help:"Serve the HTTP API until SIGTERM or ctrl-C."`
	Migrate migrateCmd `cmd:"" help:"Bring the database schema up to date and seed the plans. Safe to repeat."`
	Tenant  struct {
		Create tenantCreateCmd `cmd:"" help:"Create a tenant and its first API key, and print both."`
	} `cmd:"" help:"Tenants."`
	Key struct {
		Create keyCreateCmd `cmd:"" help:"Create a further API key for a tenant and print it; it is shown this once."`
	} `cmd:"" help:"API keys."`
	Openapi openapiCmd `cmd:"" help:"Print the OpenAPI document that /openapi.yaml serves."`
	Conf    struct {
		Print configPrintCmd `cmd:"" help:"Print the configuration in force, secrets masked."`
	} `cmd:"" name:"config" help:"Configuration."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	parsed := kong.Parse(&c, kong.Name("gateway"),
		kong.Description("Gatehouse's gateway: takes files from applications and lets only safe ones through."),
		kong.Vars{"version": version}, kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)))
	if err := parsed.Run(&c); err != nil {
		fail(err)
	}
}

// fail ends the program with a sentence for whoever started it.
func fail(err error) {
	fmt.Fprintln(os.Stderr, "gateway:", err)
	os.Exit(1)
}

// load reads the configuration for serving or for a command.
func (c *cli) load(program configs.Program) (*configs.Config, error) {
	return configs.Load(program, c.Config, os.Environ())
}
