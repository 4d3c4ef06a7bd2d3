package mailcatch

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPython: what Python's Maildir reads of ours, and what it delivers, flags and removes is seen by us.
func TestPython(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip(err)
	}
	dir := filepath.Join(t.TempDir(), "mail")
	s := openStore(t, dir, Options{})
	ids := numbered(t, s, 3)
	if err := s.MarkRead(true, ids[1]); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, "-c", `import mailbox, sys
box = mailbox.Maildir(sys.argv[1], create=False)
by = {m["Subject"]: (k, m) for k, m in box.items()}
print(" ".join(s + "=" + by[s][1].get_subdir() + by[s][1].get_flags() for s in sorted(by)), by["0"][1]["Delivered-To"])
m = mailbox.MaildirMessage("Subject: python\n\nhello\n")
m.set_flags("FS")
m.set_subdir("cur")
box.add(m)
box.remove(by["2"][0])
key, m = by["0"]
m.set_subdir("cur")
m.add_flag("S")
box[key] = m
`, dir).CombinedOutput()
	if got := strings.TrimSpace(string(out)); err != nil || got != "0=new 1=curS 2=new to@example.com" {
		t.Fatalf("Python reads %q, %v", got, err)
	}
	if err := s.rescan(); err != nil {
		t.Fatal(err)
	}
	if got := list(t, s, "is:read"); got != "python 1 0" || list(t, s, "is:unread") != "" {
		t.Errorf("the list is %q", got)
	}
	m, err := s.Lookup(ids[0])
	if err != nil || m.Unread || m.Recipients[0] != "to@example.com" {
		t.Errorf("what Python has flagged is %+v, %v", m, err)
	}
}
