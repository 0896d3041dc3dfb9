package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	graph "github.com/u2takey/ffmpeg-go"
)

// FuzzReport reads what ffprobe could say, and goes on to plan and build with what was believed.
func FuzzReport(f *testing.F) {
	f.Add([]byte(`{"streams":[{"index":0,"codec_type":"video","codec_name":"h264","width":640,"height":360,"sample_aspect_ratio":"4:3","pix_fmt":"yuv420p","avg_frame_rate":"30000/1001","r_frame_rate":"30/1","duration":"2.0","side_data_list":[{"displaymatrix":"\n00000000:            0      -65536           0\n00000001:        65536           0           0\n00000002:            0           0  1073741824\n"}]},{"index":1,"codec_type":"audio","codec_name":"aac","sample_rate":"44100","channels":2}],"format":{"duration":"2.0","nb_streams":2}}`))
	f.Add([]byte(`{"streams":[{"codec_type":"video","codec_name":"vp9","width":-1,"avg_frame_rate":"1/0","duration":"NaN"}],"format":{"duration":"-Inf","nb_streams":1}}`))
	f.Add([]byte(`{"streams":[{"codec_type":"video","tags":{"DURATION":"99:99:1e9"},"sample_aspect_ratio":"2147483647:1","width":65536,"height":65536}],"format":{"duration":"1e300","nb_streams":1}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseReport(text)
		if err != nil {
			return
		}
		m.size = 1 << 20
		require.True(t, m.duration >= 0 && m.used >= 0 && m.used <= m.duration)
		if defaultLimits.allow(m) != nil {
			return
		}
		facts := m.facts()
		require.True(t, facts.Width > 0 && facts.Height > 0 && facts.FPS >= 0 && facts.FPS <= maxRate && m.bitRate() >= 0)
		require.LessOrEqual(t, int64(facts.Width)*int64(facts.Height), defaultLimits.MaxPixels)
		require.LessOrEqual(t, facts.Duration, defaultLimits.MaxDuration)
		p := m.plan(full.withDefaults())
		for _, p := range []plan{p, p.encoded()} {
			args, err := defaultLimits.arguments(func() *graph.Stream { return p.transcode(input{"/in", isoMedia}, m, defaultLimits, 2, "/out") })
			require.NoError(t, err)
			require.NotEmpty(t, args)
		}
	})
}

func FuzzProgress(f *testing.F) {
	f.Add([]byte("out_time_us=100\nprogress=continue\n"), int64(time.Second))
	f.Fuzz(func(t *testing.T, text []byte, total int64) {
		last := 0.0
		p := &progress{total: time.Duration(total), upTo: encodeShare, tell: func(s float64) {
			require.True(t, s > last && s <= 1, "%v after %v", s, last)
			last = s
		}}
		for len(text) > 0 {
			n := min(len(text), 7)
			_, err := p.Write(text[:n])
			require.NoError(t, err)
			text = text[n:]
		}
		p.done()
		require.Equal(t, 1.0, last)
		require.LessOrEqual(t, len(p.line), maxProgressLine)
	})
}

// memory is an mp4 that cannot grow.
type memory []byte

func (m memory) ReadAt(p []byte, at int64) (int, error) { return bytes.NewReader(m).ReadAt(p, at) }

func (m memory) WriteAt(p []byte, at int64) (int, error) {
	if at < 0 || at+int64(len(p)) > int64(len(m)) {
		return 0, io.ErrShortWrite
	}
	return copy(m[at:], p), nil
}

func atom(name string, body ...[]byte) []byte {
	all := bytes.Join(body, nil)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(all))), name...), all...)
}

func FuzzTidy(f *testing.F) {
	entry := append(make([]byte, 78), atom("mdcv", make([]byte, 24))...)
	f.Add(bytes.Join([][]byte{atom("ftyp", make([]byte, 8)), atom("moov", atom("mvhd", make([]byte, 100)), atom("trak", atom("tkhd", make([]byte, 84)), atom("mdia", atom("minf", atom("stbl", atom("stsd", make([]byte, 8), atom("avc1", entry)))))), atom("udta", []byte("S3CRET"))), atom("mdat", []byte("x"))}, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if tidy(memory(b), int64(len(b))) == nil {
			again := bytes.Clone(b)
			require.NoError(t, tidy(memory(again), int64(len(again))))
			require.Equal(t, b, again)
			require.NotContains(t, string(b), "udta\x00S3CRET")
		}
	})
}

func TestTidy(t *testing.T) {
	ftyp, mdat := atom("ftyp", make([]byte, 8)), atom("mdat", []byte("pictures"))
	tkhd := atom("tkhd", bytes.Repeat([]byte{0}, 40), bytes.Repeat([]byte{7}, 36), make([]byte, 8))
	moov := atom("moov", atom("trak", tkhd, atom("udta", []byte("S3CRET"))), atom("meta", []byte("S3CRET")))
	film := memory(bytes.Join([][]byte{ftyp, moov, mdat}, nil))
	require.NoError(t, tidy(film, int64(len(film))))
	require.NotContains(t, string(film), "S3CRET")
	require.NotContains(t, string(film), "\x07")
	require.Contains(t, string(film), "pictures")
	for name, parts := range map[string][][]byte{
		"late index": {ftyp, mdat, moov}, "two": {ftyp, moov, mdat, mdat}, "none": {ftyp, mdat}, "more": {ftyp, moov, mdat, atom("uuid")},
		"cut": {ftyp, moov, mdat[:9]}, "tail": {ftyp, moov, mdat, {1, 2, 3}}, "empty": {},
	} {
		film := memory(bytes.Join(parts, nil))
		require.ErrorIs(t, tidy(film, int64(len(film))), errBoxes, name)
	}
}
