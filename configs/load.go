package configs

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// DefaultYAML is the documented default configuration.
//
//go:embed gatehouse.yaml
var DefaultYAML []byte

// Program is who reads the configuration: a worker and the gateway's commands can do without the secrets that only
// serving needs.
type Program string

// The programs.
const (
	ForGateway  Program = "gateway"
	ForCommands Program = "commands"
	ForWorker   Program = "worker"
)

// maxFileBytes bounds a configuration or secret file; a larger one is a mistake (a device, a database).
const maxFileBytes = 1 << 20

// Load reads the configuration for a program. file is the value of --config; when it is empty GATEHOUSE_CONFIG
// counts, and without both only the defaults and the environment. environ is os.Environ(). An error that is
// Problems says everything that is wrong at once. Relative folders become absolute, seen from the working folder.
func Load(program Program, file string, environ []string) (*Config, error) {
	env := environment(environ)
	l := &loader{cfg: &Config{origins: map[string]string{}}}
	if err := l.yaml(DefaultYAML, ""); err != nil {
		return nil, fmt.Errorf("built-in configuration: %w", err)
	}
	if file == "" {
		file = env["GATEHOUSE_CONFIG"]
	}
	if file != "" {
		content, err := readFile(file)
		if err != nil {
			return nil, fmt.Errorf("configuration: %w", err)
		}
		if err := l.yaml(content, file); err != nil {
			return nil, fmt.Errorf("configuration: %s: %w", file, err)
		}
	}
	l.environment(env)
	if err := l.absolute(); err != nil {
		return nil, err
	}
	l.check(program)
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	return l.cfg, nil
}

// loader puts the layers on each other and collects what is wrong with them.
type loader struct {
	cfg      *Config
	problems Problems
}

func (l *loader) problem(p Problem) { l.problems = append(l.problems, p) }

// yaml applies one document. source names it in messages; it is empty for the built-in default. The error is
// about YAML itself; wrong keys and values become problems.
func (l *loader) yaml(content []byte, source string) error {
	dec := yaml.NewDecoder(bytes.NewReader(content))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return err
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("one YAML document is expected, a second one follows")
	}
	if root := doc.Content[0]; root.Kind != yaml.ScalarNode || root.Tag != "!!null" {
		f := &fileLayer{loader: l, source: source}
		f.apply(reflect.ValueOf(l.cfg).Elem(), root, nil)
	}
	return nil
}

// absolute makes the folders independent of where a later part of the program runs.
func (l *loader) absolute() error {
	for _, p := range []*string{
		&l.cfg.DataDir, &l.cfg.Store.Root, &l.cfg.Intake.SpoolDir, &l.cfg.Scanner.DatabaseDir,
	} {
		if *p == "" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return fmt.Errorf("configuration: %w", err)
		}
		*p = abs
	}
	return nil
}

func readFile(path string) (content []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	content, err = io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxFileBytes {
		return nil, fmt.Errorf("%s: more than %d bytes", path, maxFileBytes)
	}
	return content, nil
}
