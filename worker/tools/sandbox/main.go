package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// exitSetup ends a child whose walls could not be built. The parent believes the report, not the code.
const exitSetup = 70

// Main is the main function of the child; args are what follows ChildCommand, and inside are the functions that a
// program's name may mean. It builds the walls around this process and then runs the program. It returns the exit
// code.
func Main(args []string, inside map[string]func(args []string) int) int {
	if len(args) < 2 {
		fmt.Fprintln(os.Stderr, "sandbox: want rules and a program")
		return exitSetup
	}
	var o orders
	if err := json.Unmarshal([]byte(args[0]), &o); err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		return exitSetup
	}
	unix.CloseOnExec(o.Report)
	name, args := args[1], args[2:]
	function := inside[name]
	if function == nil && !filepath.IsAbs(name) {
		return o.fail(fmt.Errorf("no program %q", name))
	}
	if err := o.build(); err != nil {
		return o.fail(err)
	}
	if err := o.say(ready); err != nil {
		return o.fail(err)
	}
	if function == nil {
		return o.fail(execute(name, args))
	}
	if err := unix.Close(o.Report); err != nil {
		return o.fail(err)
	}
	return function(args)
}

// build applies the rules to this process, from the mildest to the one that forbids to go on building.
func (o orders) build() error {
	return errors.Join(o.Limits.apply(), o.beNice())
}

func (o orders) fail(err error) int {
	if said := o.say(err.Error()); said != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err, said)
	}
	return exitSetup
}

// say reports to the parent.
func (o orders) say(text string) error {
	n, err := unix.Write(o.Report, []byte(text))
	if err == nil && n < len(text) {
		return io.ErrShortWrite
	}
	return err
}

// execute becomes the program; it returns only if that fails.
func execute(name string, args []string) error {
	return fmt.Errorf("execute %s: %w", name, unix.Exec(name, append([]string{name}, args...), os.Environ()))
}
