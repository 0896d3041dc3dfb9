package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/h2non/bimg"

	"gatehouse/e2e/rig"
	"gatehouse/e2e/services"
	"gatehouse/worker/mediatest"
)

// edges are the four default sizes.
var edges = []int{2000, 1280, 640, 320}

// naiveCommand makes this program the other reference: bimg called for each size, as its README shows.
const naiveCommand = "naive-bimg"

// naive is the main function of that reference; it works on one file.
func naive(file string) error {
	picture, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	size, err := bimg.Size(picture)
	if err != nil {
		return err
	}
	for _, edge := range edges {
		o := bimg.Options{Quality: 85, Type: bimg.WEBP, StripMetadata: true}
		if size.Width >= size.Height {
			o.Width = edge
		} else {
			o.Height = edge
		}
		if _, err := bimg.Resize(picture, o); err != nil {
			return err
		}
	}
	return nil
}

// benchPictures compares what an upload costs the worker until its four WebPs are published (scan, rows and copies
// included) with vipsthumbnail in four calls, and with bimg called for each size.
func benchPictures(c *console) []row {
	rounds := max(2, int(8*c.share))
	r, tenant := mediaRig(c)
	var rows []row
	for _, x := range []struct {
		what, name string
		bytes      []byte
	}{
		{"12 MP JPEG", "photo.jpg", mediatest.Photo(c, 4032, 3024, 1)},
		{"12 MP JPEG, rotated", "photo.jpg", mediatest.Photo(c, 3024, 4032, 6)},
		{"24 MP JPEG", "photo.jpg", mediatest.Photo(c, 6000, 4000, 1)},
		{"12 MP HEIC", "photo.heic", mediatest.PhotoHEIC(c, 4032, 3024)},
	} {
		file := filepath.Join(c.TempDir(), x.name)
		c.must(os.WriteFile(file, x.bytes, 0o644))
		var ours, wall, vips, bare float64
		for i := range rounds {
			before, began := r.Workers[0].Tree().CPU, time.Now()
			a, err := tenant.Upload(x.name, stamp(x.name, x.bytes, i))
			c.must(err)
			awaitDone(c, tenant, a.ID)
			wall += time.Since(began).Seconds() / float64(rounds)
			ours += (r.Workers[0].Tree().CPU - before) / float64(rounds)
			for _, edge := range edges {
				vips += cpuOf(c, "vipsthumbnail", file, "--size", fmt.Sprintf("%dx%d>", edge, edge), "--export-profile", "srgb",
					"-o", file+fmt.Sprintf("-%d.webp[Q=85,strip]", edge)) / float64(rounds)
			}
			bare += cpuOf(c, "/proc/self/exe", naiveCommand, file) / float64(rounds)
		}
		rows = append(rows,
			row{"four WebPs of a " + x.what + ", processor time", ms(ours) + " (wall " + ms(wall) + ")",
				"vipsthumbnail, four calls " + ms(vips), ours / vips, "<= 1.00"},
			row{"four WebPs of a " + x.what + ", processor time", ms(ours), "bimg for each size " + ms(bare), ours / bare, ""})
	}
	return append(rows, throughput(c, r, tenant), residence(c, r, tenant))
}

// mediaRig is an embedded installation on the test services' clamd, so that the worker's tree is its own.
func mediaRig(c *console) (*rig.Rig, *rig.Client) {
	r := rig.Embedded(c, rig.Options{Env: map[string]string{
		"GATEHOUSE_LOG_LEVEL": "warn", "GATEHOUSE_PLANS_PRO_STORAGE_BYTES": "1TiB", "GATEHOUSE_CATEGORIES_IMAGE_MAX_BYTES": "64MiB",
		"GATEHOUSE_SCANNER_ADDRESS":      "unix://" + services.ClamdSocket(c),
		"GATEHOUSE_SCANNER_DATABASE_DIR": services.ClamdDatabase(c),
	}})
	return r, r.Tenant("bench", "pro")
}

// stamp makes another file of the same picture.
func stamp(name string, picture []byte, n int) []byte {
	if filepath.Ext(name) == ".jpg" {
		comment := fmt.Appendf([]byte{0xff, 0xfe, 0, 18}, "%016d", n) // COM, ITU-T T.81
		return append(append(bytes.Clone(picture[:2]), comment...), picture[2:]...)
	}
	return append(bytes.Clone(picture), fmt.Appendf([]byte{0, 0, 0, 24, 'f', 'r', 'e', 'e'}, "%016d", n)...)
}

func awaitDone(c *console, tenant *rig.Client, id string) {
	if a := tenant.Await(id, 10*time.Minute, rig.Ready); a.Media.Status != "done" {
		c.Fatalf("variants of %s: %s %s", a.Name, a.Media.Status, a.Media.Error)
	}
}

// cpuOf runs a program and returns its processor time in seconds.
func cpuOf(c *console, program string, args ...string) float64 {
	cmd := exec.Command(program, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		c.Fatalf("%s: %v\n%s", program, err, out)
	}
	return (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
}

// floodPage is how many pictures are under way at most: one page of the list tells how they are.
const floodPage = 200

// flood uploads up to floodPage pictures from several connections at once and returns how long each took until it
// was web-ready.
func flood(c *console, tenant *rig.Client, picture []byte, from, n int) []time.Duration {
	var mu sync.Mutex
	began := map[string]time.Time{}
	next := make(chan int)
	var uploads sync.WaitGroup
	for range 8 {
		uploads.Go(func() {
			for i := range next {
				at := time.Now()
				a, err := tenant.Upload("photo.jpg", stamp("photo.jpg", picture, i))
				if err != nil {
					c.Errorf("upload: %v", err)
					continue
				}
				mu.Lock()
				began[a.ID] = at
				mu.Unlock()
			}
		})
	}
	go func() {
		for i := range n {
			next <- from + i
		}
		close(next)
	}()
	var took []time.Duration
	for end := time.Now().Add(30 * time.Minute); len(took) < n && !c.failed; time.Sleep(200 * time.Millisecond) {
		var page struct {
			Items []rig.Asset `json:"items"`
		}
		c.must(tenant.Get(fmt.Sprintf("/api/v1/assets?limit=%d", floodPage), &page))
		mu.Lock()
		for _, a := range page.Items {
			at, waiting := began[a.ID]
			if !waiting || !rig.Ready(a) {
				continue
			}
			if a.Media.Status != "done" {
				c.Fatalf("variants of %s: %s %s", a.Name, a.Media.Status, a.Media.Error)
			}
			took = append(took, time.Since(at))
			delete(began, a.ID)
		}
		mu.Unlock()
		if time.Now().After(end) {
			c.Fatalf("%d of %d pictures are not done after half an hour", n-len(took), n)
		}
	}
	uploads.Wait()
	if c.failed {
		c.Fatal("the flood failed")
	}
	return took
}

// throughput is how many photos become web-ready in a second with all cores at work.
func throughput(c *console, _ *rig.Rig, tenant *rig.Client) row {
	n := max(8, int(40*c.share))
	began := time.Now()
	flood(c, tenant, mediatest.Photo(c, 4032, 3024, 1), 1000, n)
	rate := float64(n) / time.Since(began).Seconds()
	return row{what: "12 MP photos a second, four WebPs each, upload to done", measured: fmt.Sprintf("%.2f", rate), reference: "-"}
}

// residence is what the worker and its children hold after many pictures.
func residence(c *console, r *rig.Rig, tenant *rig.Client) row {
	picture := mediatest.Photo(c, 800, 600, 1)
	flood(c, tenant, picture, 10_000, 100)
	first, before := r.Workers[0].Tree().Resident, alone(r)
	for i := range 9 {
		flood(c, tenant, picture, 20_000+100*i, 100)
	}
	last, after := r.Workers[0].Tree().Resident, alone(r)
	return row{
		what:      "resident memory of the worker and its children after 1,000 pictures",
		measured:  fmt.Sprintf("%d MiB (the worker alone %d MiB)", last>>20, after>>20),
		reference: fmt.Sprintf("after 100: %d MiB (%d MiB)", first>>20, before>>20),
		ratio:     max(float64(last)/float64(first), float64(after)/float64(before)), aim: "<= 1.20",
	}
}

// alone is the worker's resident memory without its children.
func alone(r *rig.Rig) int64 {
	now, _ := r.Workers[0].Memory()
	return now
}
