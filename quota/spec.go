package quota

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// SpecOf is what holds for a tenant: its plan's spec, refined by the tenant's own overrides ("" for none). Only keys that
// are present override; max_bytes overrides by category. Keys of another version are ignored: whoever edits a spec has it
// checked by CheckSpec.
func SpecOf(planSpec, overrides string) (Spec, error) {
	var s Spec
	if err := json.Unmarshal([]byte(planSpec), &s); err != nil {
		return s, fmt.Errorf("plan spec: %w", err)
	}
	if overrides == "" {
		return s, nil
	}
	if err := json.Unmarshal([]byte(overrides), &s); err != nil {
		return s, fmt.Errorf("overrides: %w", err)
	}
	return s, nil
}

// SpecFor reads what holds for a tenant now.
func SpecFor(t meta.Tenant) (Spec, error) {
	plan, overrides, err := t.Specs()
	if err != nil {
		return Spec{}, fmt.Errorf("read the tenant's plan: %w", err)
	}
	return SpecOf(plan, overrides)
}

// CheckSpec says what is wrong with the JSON of a plan's spec or of a tenant's overrides, in words for whoever edits it:
// a key that does not exist, null, a value that is impossible. Empty overrides are fine. What only the whole of a plan and
// its overrides can contradict, Spec.Check of SpecOf tells.
func CheckSpec(raw string) error {
	if raw == "" {
		return nil
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal([]byte(raw), &keys); err != nil || keys == nil {
		return errors.New(`a JSON object is expected, like {"max_files": 1000}`)
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if key != strings.ToLower(key) {
			return fmt.Errorf("unknown field %q: keys are lower case", key) // encoding/json would take it
		}
		if string(keys[key]) == "null" {
			return fmt.Errorf("%s: a value is expected, not null; leave the key out to keep the plan's", key)
		}
	}
	var s Spec
	d := json.NewDecoder(strings.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return fmt.Errorf("%s: a %s is not expected here", wrong.Field, wrong.Value)
		}
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if err := repeated([]byte(raw)); err != nil {
		return err
	}
	return s.values()
}

// Keys are the keys of a spec, in their order.
func Keys() []string {
	var out []string
	for f := range reflect.TypeFor[Spec]().Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out = append(out, key)
	}
	return out
}

// maxBytesKey is the key whose value has parts: max_bytes.video.
const maxBytesKey = "max_bytes"

// CheckKey says what is wrong with a key, or with that of a part, in words for whoever edits a spec.
func CheckKey(key string) error {
	root, category, part := strings.Cut(key, ".")
	switch {
	case !slices.Contains(Keys(), root):
		return fmt.Errorf("%s: there is no such key; there are %s", key, strings.Join(Keys(), ", "))
	case part && root != maxBytesKey:
		return fmt.Errorf("%s: %s has no parts", key, root)
	case part && !slices.Contains(categories, storage.Category(category)):
		return fmt.Errorf("%s: there is no category %q; there are %s", key, category, categoryNames())
	}
	return nil
}

// repeated finds a key that stands twice: the last would win, and the editor would not know.
func repeated(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		name := fmt.Sprint(key)
		if seen[name] {
			return fmt.Errorf("%s: stands twice", name)
		}
		seen[name] = true
		var skip json.RawMessage
		if err := d.Decode(&skip); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return nil
}

// The bounds of a spec's numbers. They say what is impossible, not what is wise.
const (
	most             = int64(1) << 40
	maxRetentionDays = 36500
	minVideoHeight   = 72
	maxVideoHeight   = 4320
)

// Check says what is impossible in a whole spec.
func (s Spec) Check() error {
	if err := s.values(); err != nil {
		return err
	}
	videos := len(s.Categories) == 0 || slices.Contains(s.Categories, storage.CategoryVideo)
	if s.Serve == ServeVariantsOnly && videos && !s.Transcoding {
		return errors.New("serve: variants_only needs transcoding: without it a video has no variants, and nothing of it could be read")
	}
	return nil
}

// categories are those a spec may name.
var categories = []storage.Category{storage.CategoryImage, storage.CategoryVideo, storage.CategoryDocument, storage.CategoryRelease}

func categoryNames() string {
	names := make([]string, len(categories))
	for i, c := range categories {
		names[i] = string(c)
	}
	return strings.Join(names, ", ")
}

// values checks each value by itself.
func (s Spec) values() error {
	for _, c := range s.Categories {
		if !slices.Contains(categories, c) {
			return fmt.Errorf("categories: there is no %q; there are %s", c, categoryNames())
		}
	}
	for _, c := range slices.Sorted(maps.Keys(s.MaxBytes)) {
		if !slices.Contains(categories, c) {
			return fmt.Errorf("max_bytes: there is no category %q; there are %s", c, categoryNames())
		}
		if s.MaxBytes[c] < 1 {
			return fmt.Errorf("max_bytes: 1 or more bytes are expected for %s, not %d; whoever may not send it at all has other categories", c, s.MaxBytes[c])
		}
	}
	for _, x := range []struct {
		key     string
		n, most int64
	}{
		{"max_files", s.MaxFiles, most}, {"uploads_per_minute", s.UploadsPerMinute, most},
		{"concurrent_uploads", s.ConcurrentUploads, most}, {"retention_days", s.RetentionDays, maxRetentionDays},
	} {
		if x.n < 0 || x.n > x.most {
			return fmt.Errorf("%s: 1 to %d is expected, or unlimited (in JSON 0), not %d", x.key, x.most, x.n)
		}
	}
	if h := s.MaxVideoHeight; h != 0 && (h < minVideoHeight || h > maxVideoHeight) {
		return fmt.Errorf("max_video_height: %d to %d pixels are expected, or unlimited (in JSON 0), not %d", minVideoHeight, maxVideoHeight, h)
	}
	return s.words()
}

// words checks the values that are text.
func (s Spec) words() error {
	if s.Duplicates != "" && s.Duplicates != DuplicatesLink && s.Duplicates != DuplicatesReject {
		return fmt.Errorf("duplicates: link or reject is expected, not %q", s.Duplicates)
	}
	if s.Serve != "" && s.Serve != ServeAll && s.Serve != ServeVariantsOnly {
		return fmt.Errorf("serve: all or variants_only is expected, not %q", s.Serve)
	}
	for key, names := range map[string][]string{"image_presets": s.ImagePresets, "video_presets": s.VideoPresets} {
		if slices.Contains(names, "") {
			return fmt.Errorf("%s: a name is empty", key)
		}
	}
	if s.UpgradeURL == "" {
		return nil
	}
	u, err := url.Parse(s.UpgradeURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return errors.New("upgrade_url: an http or https URL is expected, or nothing")
	}
	return nil
}
