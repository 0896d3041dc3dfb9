package release_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/release"
)

func TestWhichReleaseADeviceGets(t *testing.T) {
	const early, late = "00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-0000f0000000"
	current := release.Candidate{State: release.Published, Percentage: 100, Full: true, Available: true}
	fallback := release.Candidate{State: release.Superseded, Percentage: 100, Full: true, Available: true}
	of := func(c release.Candidate, change func(*release.Candidate)) release.Candidate {
		change(&c)
		return c
	}
	staged := of(current, func(c *release.Candidate) { c.Percentage, c.Full = 10, false })
	none := release.Candidate{}
	for name, c := range map[string]struct {
		current, fallback release.Candidate
		device            string
		want              release.Choice
	}{
		"nothing is published":                  {none, none, early, release.Nothing},
		"a fallback without a current one":      {none, fallback, early, release.Nothing},
		"for all":                               {current, fallback, late, release.Current},
		"for all, a device without an id":       {current, fallback, "", release.Current},
		"in the stage":                          {staged, fallback, early, release.Current},
		"outside the stage":                     {staged, fallback, late, release.Fallback},
		"outside the stage, nothing before":     {staged, none, late, release.Nothing},
		"a device without an id in a stage":     {staged, fallback, "", release.Fallback},
		"percentage zero":                       {of(staged, func(c *release.Candidate) { c.Percentage = 0 }), fallback, early, release.Fallback},
		"paused":                                {of(current, func(c *release.Candidate) { c.State = release.Paused }), fallback, early, release.Fallback},
		"paused, nothing before":                {of(current, func(c *release.Candidate) { c.State = release.Paused }), none, early, release.Nothing},
		"infected since":                        {of(current, func(c *release.Candidate) { c.Available = false }), fallback, early, release.Fallback},
		"both infected since":                   {of(current, func(c *release.Candidate) { c.Available = false }), of(fallback, func(c *release.Candidate) { c.Available = false }), early, release.Nothing},
		"the fallback was never for all":        {staged, of(fallback, func(c *release.Candidate) { c.Full = false }), late, release.Nothing},
		"the fallback was archived":             {staged, of(fallback, func(c *release.Candidate) { c.State = release.Archived }), late, release.Nothing},
		"the fallback was taken back":           {staged, of(fallback, func(c *release.Candidate) { c.State = release.Unpublished }), late, release.Nothing},
		"the fallback is a draft":               {staged, of(fallback, func(c *release.Candidate) { c.State = release.Draft }), late, release.Nothing},
		"the current one is no longer so":       {of(current, func(c *release.Candidate) { c.State = release.Unpublished }), fallback, early, release.Nothing},
		"the stage has a device without a UUID": {of(staged, func(c *release.Candidate) { c.Percentage = 99 }), none, "my-device", release.Current},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, release.Choose(c.current, c.fallback, c.device))
		})
	}
}
