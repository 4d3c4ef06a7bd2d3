package letter

import (
	"html"
	"regexp"
	"slices"
	"strings"
)

// mostLink is how long an address may be, in bytes: browsers take no longer ones.
const mostLink = 2048

var (
	inText = regexp.MustCompile(`https?://[^\s<>"'\x60\x00-\x1f]+`)
	inHTML = regexp.MustCompile(`(?i)\shref\s*=\s*(?:"\s*(https?://[^"]*)"|'\s*(https?://[^']*)'|(https?://[^\s>"']+))`)
)

// Links are the addresses of http and https that a mail's text and HTML link, each once, in their order, up to most.
// Nobody has asked what is there.
func Links(text, markup string, most int) []string {
	all := []string{}
	add := func(s string) {
		if s = strings.TrimSpace(plain(s)); len(s) <= mostLink && len(all) < most && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	for _, s := range inText.FindAllString(text, 4*most) {
		add(strings.TrimRight(s, ".,;:!?)]}>"))
	}
	for _, m := range inHTML.FindAllStringSubmatch(markup, 4*most) {
		add(html.UnescapeString(m[1] + m[2] + m[3]))
	}
	return all
}
