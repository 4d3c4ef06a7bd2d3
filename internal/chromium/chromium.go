// Package chromium runs Chromium for a test, without a window. It is for tests alone.
package chromium

import (
	"context"
	"os/exec"
	"testing"
	"time"
)

// names are those that a Chromium may have.
var names = []string{"chromium", "chromium-browser", "google-chrome"}

// Find is the path of the program. Without one the test is skipped.
func Find(t *testing.T) string {
	t.Helper()
	for _, name := range names {
		if exe, err := exec.LookPath(name); err == nil {
			return exe
		}
	}
	t.Skip("there is no chromium")
	return ""
}

// Command is a Chromium whose profile lies in dir, and which asks for nothing but what its pages want. The arguments
// are further flags, and what is to be opened. It is killed when ctx ends.
func Command(ctx context.Context, t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, Find(t), append([]string{"--headless", "--no-sandbox", "--disable-gpu",
		"--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--user-data-dir=" + dir}, args...)...)
	cmd.WaitDelay = 20 * time.Second // its helpers hold its output open
	return cmd
}
