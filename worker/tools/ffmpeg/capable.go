package ffmpeg

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// needed is what an ffmpeg must have, by the option that lists it.
var needed = map[string][]string{
	"-encoders": {"libx264", "aac", "png"},
	"-filters":  {"zscale", "tonemap", "thumbnail", "bwdif", "scale", "transpose", "setparams", "signalstats"},
	"-bsfs":     {"filter_units"},
	"-demuxers": {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"},
}

// capable says what ffmpeg lacks, and whether it can encode H.265. It reads no foreign bytes.
func capable(ffmpeg string) (h265 bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var missing []string
	for list, names := range needed {
		cmd := exec.CommandContext(ctx, ffmpeg, "-hide_banner", "-nostdin", "-loglevel", "error", list)
		cmd.Env = []string{}
		out, err := cmd.Output()
		if err != nil {
			return false, fmt.Errorf("%s %s: %w", ffmpeg, list, err)
		}
		words := map[string]bool{}
		for word := range bytes.FieldsSeq(out) {
			words[string(word)] = true
		}
		for _, name := range names {
			if !words[name] {
				missing = append(missing, name)
			}
		}
		h265 = h265 || words["libx265"]
	}
	if missing != nil {
		return false, fmt.Errorf("%s lacks %s", ffmpeg, strings.Join(missing, ", "))
	}
	return h265, nil
}
