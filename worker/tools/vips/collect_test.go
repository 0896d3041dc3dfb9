package vips

import (
	"context"
	"errors"
	"slices"
)

// WebPs makes all outputs and hands them over together, in the order of the presets; the caller closes their files.
func (r *Runner) WebPs(ctx context.Context, p Picture, presets []Preset) ([]Output, error) {
	var outputs []Output
	err := r.Make(ctx, p, presets, func(Facts) error { return nil }, func(o Output) error {
		f, err := reopen(o.File)
		if err != nil {
			return err
		}
		o.File = f
		outputs = append(outputs, o)
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, CloseAll(outputs))
	}
	at := func(o Output) int {
		return slices.IndexFunc(presets, func(p Preset) bool { return p.Name == o.Preset })
	}
	slices.SortStableFunc(outputs, func(a, b Output) int { return at(a) - at(b) })
	return outputs, nil
}

// CloseAll closes the files of the outputs.
func CloseAll(outputs []Output) error {
	var errs []error
	for _, o := range outputs {
		errs = append(errs, o.File.Close())
	}
	return errors.Join(errs...)
}
