package ftp

import (
	"strings"
	"testing"
)

func TestSession(t *testing.T) {
	r := newRig(t, &Server{})
	r.file("a.txt", "hello\n")
	c := r.in()
	if got := c.get("RETR a.txt"); got != "hello\n" {
		t.Errorf("RETR: %q", got)
	}
	c.put("STOR b.txt", "some text", 226)
	r.has("b.txt", "some text")
	if got := c.get("LIST"); strings.Count(got, "\r\n") != 2 {
		t.Errorf("LIST: %q", got)
	}
	if got := c.get("NLST"); got != "a.txt\r\nb.txt\r\n" && got != "b.txt\r\na.txt\r\n" {
		t.Errorf("NLST: %q", got)
	}
	c.do("QUIT", 221)
	c.ended()
}
