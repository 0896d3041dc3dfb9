package admin

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/quota"
	"gatehouse/storage"
)

// Edit is what to change in the spec of a plan, or in a tenant's overrides. A key is that of quota.Spec; one with a dot
// is of an object: max_bytes.video.
type Edit struct {
	Set   map[string]json.RawMessage
	Clear []string
}

// apply makes the edit in a JSON object ("" is an empty one) and gives it back, "" when nothing is left in it.
func (e Edit) apply(raw string) (string, error) {
	keys := map[string]json.RawMessage{}
	if raw != "" {
		if err := json.Unmarshal([]byte(raw), &keys); err != nil {
			return "", fmt.Errorf("the spec in the database is broken: %w", err)
		}
	}
	for _, key := range e.Clear {
		if err := put(keys, key, nil); err != nil {
			return "", err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(e.Set)) {
		if err := put(keys, key, e.Set[key]); err != nil {
			return "", err
		}
	}
	if len(keys) == 0 {
		return "", nil
	}
	out, err := json.Marshal(keys)
	if err != nil {
		return "", badSpec(err)
	}
	if err := quota.CheckSpec(string(out)); err != nil {
		return "", badSpec(err)
	}
	return string(out), nil
}

// check refuses what apply cannot know to be wrong: keys to clear that do not exist, and presets that nobody makes. What is
// there already may name a preset that was configured once.
func (a Admin) check(e Edit) error {
	for _, key := range e.Clear {
		if err := quota.CheckKey(key); err != nil {
			return badSpec(err)
		}
	}
	for key, there := range map[string][]string{"image_presets": a.ImagePresets, "video_presets": a.VideoPresets} {
		var names []string
		if err := json.Unmarshal(e.Set[key], &names); err != nil || there == nil {
			continue // not set; or no list, which apply refuses
		}
		for _, name := range names {
			if !slices.Contains(there, name) {
				return badSpec(fmt.Errorf("%s: there is no preset %q; there are %s", key, name, strings.Join(there, ", ")))
			}
		}
	}
	return nil
}

// capped are the sizes that an edit sets above what is configured, which holds then.
func (a Admin) capped(e Edit) map[storage.Category]int64 {
	var out map[storage.Category]int64
	for category, most := range a.MaxBytes {
		var n int64
		if json.Unmarshal(e.Set["max_bytes."+string(category)], &n) != nil || n <= most {
			continue // not set, or no number, which apply refuses
		}
		if out == nil {
			out = map[storage.Category]int64{}
		}
		out[category] = most
	}
	return out
}

// quotaBytes refuses a number of bytes that is no quota.
func quotaBytes(key string, n int64) error {
	if n < 0 || n > quota.Unlimited {
		return badSpec(fmt.Errorf("%s: 0 to %d bytes are expected, or unlimited (in JSON %d), not %d", key, quota.Unlimited-1, quota.Unlimited, n))
	}
	return nil
}

// put sets a key, or takes it away when the value is nil.
func put(keys map[string]json.RawMessage, key string, value json.RawMessage) error {
	name, inner, nested := strings.Cut(key, ".")
	if nested {
		object := map[string]json.RawMessage{}
		if raw, ok := keys[name]; ok {
			if err := json.Unmarshal(raw, &object); err != nil {
				return badSpec(fmt.Errorf("%s: %s is not an object", key, name))
			}
		}
		if err := put(object, inner, value); err != nil {
			return err
		}
		if len(object) == 0 {
			delete(keys, name)
			return nil
		}
		raw, err := json.Marshal(object)
		if err != nil {
			return badSpec(fmt.Errorf("%s: %w", key, err))
		}
		keys[name] = raw
		return nil
	}
	if value == nil {
		delete(keys, name)
		return nil
	}
	keys[name] = value
	return nil
}

// badSpec refuses settings for what is wrong with them.
func badSpec(err error) error {
	return refuse(storage.CodeMalformedRequest, "settings",
		fmt.Sprintf("These settings are not possible: %s.", strings.TrimSuffix(err.Error(), ".")),
		fmt.Sprintf("设置无效：%s。", strings.TrimSuffix(err.Error(), ".")))
}

// contradiction is what a plan and a tenant's overrides can get wrong only together.
func contradiction(planSpec, overrides string) error {
	s, err := quota.SpecOf(planSpec, overrides)
	if err != nil {
		return err
	}
	return s.Check()
}

// checkWhole refuses a contradiction.
func checkWhole(planSpec, overrides string) error {
	if err := contradiction(planSpec, overrides); err != nil {
		return badSpec(err)
	}
	return nil
}
