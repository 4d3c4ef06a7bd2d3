package compare

import (
	"encoding/json"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// measurePage opens a page in a frame of some widths, which may be narrower than a browser's window, and measures it.
const measurePage = `<!DOCTYPE html><style>body { margin: 0 } iframe { border: 0; height: 3000px; display: block }</style>
%s
<script>
addEventListener("load", () => {
  const measures = [...document.querySelectorAll("iframe")].map(f => {
    const d = f.contentDocument, m = { Width: f.clientWidth, Page: d.documentElement.scrollWidth, Least: 1e9, Cut: [], Hidden: [], Gap: 0 };
    for (const svg of d.querySelectorAll("svg.chart")) {
      const box = svg.getBoundingClientRect(), seen = [];
      for (const t of svg.querySelectorAll("text")) {
        const r = t.getBoundingClientRect();
        m.Least = Math.min(m.Least, parseFloat(getComputedStyle(t).fontSize) * Math.abs(t.getScreenCTM().a));
        if (r.left < box.left - 1 || r.right > box.right + 1 || r.top < box.top - 1 || r.bottom > box.bottom + 1) m.Cut.push(t.textContent);
        for (const [other, text] of seen)
          if (r.left < other.right - 2 && other.left < r.right - 2 && r.top < other.bottom - 5 && other.top < r.bottom - 5)
            m.Cut.push(t.textContent + " on " + text);
        seen.push([r, t.textContent]);
      }
    }
    for (const s of d.querySelectorAll("table")) {
      const p = s.parentElement;
      if (s.scrollWidth > p.clientWidth && p.offsetHeight - p.clientHeight < 6) m.Hidden.push(s.textContent.trim().slice(0, 20));
    }
    const cards = d.querySelector(".charts"), last = cards.lastElementChild;
    m.Gap = cards.getBoundingClientRect().right - last.getBoundingClientRect().right;
    return m;
  });
  const out = document.createElement("pre");
  out.id = "measures";
  out.textContent = JSON.stringify(measures);
  document.body.append(out);
});
</script>`

// TestPhone: at the width of a telephone and wider, the letters of charts have 11 pixels at least, none is cut off or
// lies on another, the page is as wide as its frame, a table that is wider shows a scroll
// bar, and the last card ends its row.
func TestPhone(t *testing.T) {
	t.Parallel()
	b := browser{t}
	dir := t.TempDir()
	if err := made(t).Write(dir); err != nil {
		t.Fatal(err)
	}
	page := read(t, dir, "report.html")
	if !strings.Contains(page, `<meta name="viewport" content="width=device-width, initial-scale=1">`) {
		t.Error("the page does not tell a telephone to take its own width")
	}
	var frames strings.Builder
	for _, width := range []int{360, 800, 1440} {
		fmt.Fprintf(&frames, `<iframe style="width: %dpx" srcdoc="%s"></iframe>`, width, html.EscapeString(page))
	}
	file := filepath.Join(dir, "frames.html")
	if err := os.WriteFile(file, fmt.Appendf(nil, measurePage, frames.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	dom, _ := b.run(file, false, "--dump-dom")
	found := regexp.MustCompile(`<pre id="measures">(.*)</pre>`).FindStringSubmatch(dom)
	if found == nil {
		t.Fatalf("the browser has not measured the page: %.2000s", dom)
	}
	var measures []struct {
		Width, Page, Least, Gap float64
		Cut, Hidden             []string
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(found[1])), &measures); err != nil {
		t.Fatal(err)
	}
	if len(measures) != 3 {
		t.Fatalf("measured %d frames, want 3", len(measures))
	}
	for _, m := range measures {
		if m.Least < 11 || m.Least > 20 {
			t.Errorf("%v pixels: the least letters of charts have %.1f pixels, want 11 to 20", m.Width, m.Least)
		}
		if len(m.Cut) > 0 {
			t.Errorf("%v pixels: cut off, or on others: %q", m.Width, m.Cut)
		}
		if m.Page > m.Width {
			t.Errorf("%v pixels: the page is %v wide", m.Width, m.Page)
		}
		if len(m.Hidden) > 0 {
			t.Errorf("%v pixels: wider than their place, with no bar that shows it: %q", m.Width, m.Hidden)
		}
		if m.Gap > 2 {
			t.Errorf("%v pixels: a hole of %v behind the last card", m.Width, m.Gap)
		}
	}
}
