package ffmpeg

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"gatehouse/storage"
)

// streamReport is how much of ffprobe's answer is read for each stream, which takes some 1 KiB; the first packets take
// as much as a few streams.
const streamReport = 16 << 10

// probeTimeout is for reading a header and the first frames, by the clock and by the processor.
const probeTimeout = 30 * time.Second

// asked are the facts that ffprobe is asked for. No free texts: titles and the like stay where they are.
const asked = "format=start_time,duration,nb_streams" +
	":stream=index,codec_type,codec_name,profile,level,codec_tag_string,width,height,sample_aspect_ratio,pix_fmt,field_order," +
	"color_range,color_space,color_transfer,color_primaries,avg_frame_rate,r_frame_rate,duration,bit_rate," +
	"sample_rate,channels,channel_layout" +
	":stream_disposition=default,attached_pic" +
	":stream_tags=DURATION" +
	":stream_side_data=side_data_type,displaymatrix" +
	":packet=stream_index,flags"

// firstPackets is how many packets are looked at: enough to find the first of the picture.
const firstPackets = "%+#32"

// probe finds out what the file is.
func (r *Runner) probe(ctx context.Context, in input, size int64) (media, error) {
	args := []string{"-hide_banner", "-v", "error", "-max_alloc", r.cfg.Limits.maxAlloc()}
	options := in.options(r.cfg.Limits.MaxStreams, r.cfg.Threads)
	options["codec_whitelist"] = decoderList(bystanders...)
	for _, name := range slices.Sorted(maps.Keys(options)) {
		args = append(args, "-"+name, options[name])
	}
	args = append(args, "-of", "json=compact=1", "-show_entries", asked, "-read_intervals", firstPackets, "-i", in.url())
	report := &bounded{max: (1 + r.cfg.Limits.MaxStreams) * streamReport}
	timeout := min(probeTimeout, r.cfg.Limits.Timeout)
	if err := r.run(ctx, job{
		program: r.cfg.FFprobe, args: args, stdout: report, read: in.path, timeout: timeout, cpu: min(probeTimeout, r.cfg.Limits.CPU),
	}); err != nil {
		return media{}, fmt.Errorf("probe: %w", err)
	}
	if report.over {
		return media{}, &Unplayable{storage.ReasonVideoDamaged, "ffprobe has too much to say"}
	}
	m, err := parseReport(report.kept.Bytes())
	if err != nil {
		return media{}, &Unplayable{storage.ReasonVideoDamaged, fmt.Sprintf("ffprobe's answer: %v", err)}
	}
	m.container, m.size = in.container, size
	if (m.duration == 0 || m.late) && m.video != nil {
		// Recorders that write as they go leave the duration out, and where clocks do not begin at 0 some containers
		// have the end for the duration: look for the last frame.
		tracks := []int{m.video.index}
		if m.audio != nil {
			tracks = append(tracks, m.audio.index)
		}
		length, err := r.measure(ctx, in, tracks...)
		if err != nil {
			return media{}, fmt.Errorf("measure the duration: %w", err)
		}
		m.setDurations(length)
	}
	return m, nil
}

// bounded keeps the beginning of what is written.
type bounded struct {
	kept bytes.Buffer
	max  int
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	take := min(len(p), b.max-b.kept.Len())
	b.over = b.over || take < len(p)
	b.kept.Write(p[:take])
	return len(p), nil
}
