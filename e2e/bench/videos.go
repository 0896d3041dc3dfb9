package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/e2e/rig"
	"gatehouse/worker/mediatest"
)

// benchVideos compares the wall time of a transcode with that of the very same ffmpeg command run by hand, and shows
// what a video costs the pictures that come with it.
func benchVideos(c *console) []row {
	return []row{transcode(c), besideVideo(c)}
}

// transcode compares ffmpeg in its sandbox with the same command, taken from the running child, run by hand. What the
// task adds around it (copy, probes, poster, a look at the result) is told beside it.
func transcode(c *console) row {
	clip := mediatest.Long(c, max(10, int(60*c.share)), max(10, int(60*c.share)))
	content, err := os.ReadFile(clip.Path)
	c.must(err)
	r, tenant := mediaRig(c)
	a, err := tenant.Upload(filepath.Base(clip.Path), content)
	c.must(err)
	for {
		v, err := tenant.Asset(a.ID)
		c.must(err)
		if v.Media.Status == "running" {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	running := time.Now()
	var command []string
	var began time.Time
	for command == nil {
		if v, err := tenant.Asset(a.ID); err != nil || rig.Ready(v) {
			c.Fatalf("the video is done before its transcode was seen: %v %s", err, v.Media.Error)
		}
		time.Sleep(20 * time.Millisecond)
		if seen := r.Workers[0].Tree().Command("ffmpeg"); slices.Contains(seen, "libx264") {
			command, began = seen, time.Now()
		}
	}
	for r.Workers[0].Tree().Running("ffmpeg") {
		time.Sleep(200 * time.Millisecond) // to look costs processor time, which ffmpeg would lack
	}
	ours := time.Since(began)
	awaitDone(c, tenant, a.ID)
	around := time.Since(running) - ours

	dir := c.TempDir()
	args := slices.Clone(command[1:])
	for i, arg := range args {
		switch path := strings.TrimPrefix(arg, "file:"); {
		case i > 0 && args[i-1] == "-i":
			args[i] = clip.Path
		case strings.HasPrefix(path, r.Dir) || strings.HasPrefix(path, "/") && i == len(args)-1:
			args[i] = filepath.Join(dir, "out.mp4")
		}
	}
	args = append([]string{"-y"}, args...)
	began = time.Now()
	cmd := exec.Command(command[0], args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		c.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	theirs := time.Since(began)
	return row{
		what:      fmt.Sprintf("transcode %.0f s of %d x %d to H.264, wall", clip.Seconds, clip.Width, clip.Height),
		measured:  fmt.Sprintf("%s (the rest of the task %s)", ours.Round(10*time.Millisecond), around.Round(10*time.Millisecond)),
		reference: "the same ffmpeg command by hand " + theirs.Round(10*time.Millisecond).String(),
		ratio:     ours.Seconds() / theirs.Seconds(), aim: "<= 1.05",
	}
}

// besideVideo submits 200 pictures, then 200 others together with a video of 100 MiB.
func besideVideo(c *console) row {
	n := max(20, int(200*c.share))
	_, tenant := mediaRig(c)
	picture := mediatest.Photo(c, 1600, 1200, 1)
	flood(c, tenant, picture, 0, 10) // warm
	alone := flood(c, tenant, picture, 1000, n)

	clip := mediatest.Long(c, max(30, int(120*c.share)), 85)
	content, err := os.Open(clip.Path)
	c.must(err)
	defer func() { _ = content.Close() }()
	info, err := content.Stat()
	c.must(err)
	a, err := tenant.UploadFrom(filepath.Base(clip.Path), info.Size(), content)
	c.must(err)
	beside := flood(c, tenant, picture, 2000, n)
	if v, err := tenant.Asset(a.ID); err != nil || rig.Ready(v) {
		c.Fatalf("the video was done before the pictures: %v %s", err, v.Media.Error)
	}
	slices.Sort(alone)
	slices.Sort(beside)
	return row{
		what:     fmt.Sprintf("%d pictures beside a video of %d MiB: p95 until web-ready", n, info.Size()>>20),
		measured: quantile(beside, .95).String(), reference: "without the video " + quantile(alone, .95).String(),
		ratio: quantile(beside, .95).Seconds() / quantile(alone, .95).Seconds(), aim: "<= 2.00",
	}
}
