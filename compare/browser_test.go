package compare

import (
	"context"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/chromium"
	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/models"
)

// A browser opens files without a window.
type browser struct{ t *testing.T }

// run opens a file. It returns what the browser printed, and the complaints of its console.
func (b browser) run(file string, dark bool, flags ...string) (out string, console []string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 2*time.Minute)
	defer cancel()
	args := []string{"--enable-logging=stderr"}
	if dark {
		args = append(args, "--blink-settings=preferredColorScheme=0")
	}
	cmd := chromium.Command(ctx, b.t, b.t.TempDir(), append(append(args, flags...), "file://"+file)...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		b.t.Fatalf("%v: %v\n%s", cmd, err, stderr.String())
	}
	return stdout.String(), regexp.MustCompile(`(?m)^.*CONSOLE.*$`).FindAllString(stderr.String(), -1)
}

// picture is what a page looks like, and its document.
func (b browser) picture(file string, dark bool) (img *image.RGBA, dom string, console []string) {
	b.t.Helper()
	shot := filepath.Join(b.t.TempDir(), "shot.png")
	dom, console = b.run(file, dark, "--hide-scrollbars", "--window-size=1200,3000", "--screenshot="+shot, "--dump-dom")
	f, err := os.Open(shot)
	if err != nil {
		b.t.Fatalf("no screenshot: %v", err)
	}
	defer f.Close()
	shown, err := png.Decode(f)
	if err != nil {
		b.t.Fatal(err)
	}
	img = image.NewRGBA(shown.Bounds())
	draw.Draw(img, img.Bounds(), shown, image.Point{}, draw.Src)
	return img, dom, console
}

// TestReportInBrowser: the report opens from disk in a real browser, with each chart in place, in light and in dark.
func TestReportInBrowser(t *testing.T) {
	t.Parallel()
	chromium.Find(t)
	dir := t.TempDir()
	if err := made(t).Write(dir); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "report.html")
	for _, row := range []struct {
		name   string
		dark   bool
		page   string
		colour func(s style) string
	}{
		{"light", false, "#ffffff", func(s style) string { return s.colour }},
		{"dark", true, "#16181c", func(s style) string { return s.dark }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if row.dark && !portion.All() {
				t.Skip("the chart alone is dark too: PLEXOR_TESTS=all has the page")
			}
			img, dom, console := browser{t}.picture(file, row.dark)
			if len(console) > 0 {
				t.Errorf("the console says %q", console)
			}
			for _, m := range Metrics {
				figure := regexp.MustCompile(`(?s)<figure id="` + m.Key + `">.*?</figure>`).FindString(dom)
				if n := strings.Count(figure, "<path "); n < 2*len(models.All()) {
					t.Errorf("the chart of %s has %d paths in the browser, want one and more for each model", m.Key, n)
				}
			}
			if corner := img.SubImage(image.Rect(0, 0, 8, 8)).(*image.RGBA); count(corner, row.page) != 64 {
				t.Errorf("the page's background is %v, want %s", img.At(2, 2), row.page)
			}
			for _, m := range models.All() {
				if n := count(img, row.colour(styleOf(m.Name))); n < 100 {
					t.Errorf("%d pixels have the colour of %s, want its lines", n, m.Name)
				}
			}
		})
	}
	t.Run("chart alone", func(t *testing.T) {
		t.Parallel()
		img, _, console := browser{t}.picture(filepath.Join(dir, keyRate+".svg"), true)
		if len(console) > 0 {
			t.Errorf("the console says %q", console)
		}
		if n := count(img, styleOf("epoll").dark); n < 100 {
			t.Errorf("%d pixels have the colour of epoll, want its line", n)
		}
	})
}

// TestBrowserComplains: a page with a mistake would be noticed.
func TestBrowserComplains(t *testing.T) {
	t.Parallel()
	b := browser{t}
	file := filepath.Join(t.TempDir(), "bad.html")
	if err := os.WriteFile(file, []byte(`<!DOCTYPE html><script>console.error("no such chart")</script>`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, console := b.run(file, false, "--dump-dom")
	if len(console) != 1 || !strings.Contains(console[0], "no such chart") {
		t.Errorf("the console says %q, want the page's error", console)
	}
}

// count is how many pixels are about of that colour.
func count(img *image.RGBA, colour string) (n int) {
	want := color.RGBAModel.Convert(parseColour(colour)).(color.RGBA)
	near := func(a, b uint8) bool { return max(a, b)-min(a, b) <= 12 }
	for y := img.Rect.Min.Y; y < img.Rect.Max.Y; y++ {
		for x := img.Rect.Min.X; x < img.Rect.Max.X; x++ {
			if p := img.RGBAAt(x, y); near(p.R, want.R) && near(p.G, want.G) && near(p.B, want.B) {
				n++
			}
		}
	}
	return n
}
