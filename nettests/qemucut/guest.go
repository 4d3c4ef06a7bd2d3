//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/mq"
	_ "github.com/plexor-go/plexor/mq/nats"
)

const (
	disk       = "/dev/vda"
	publishers = 4
)

// guest is the whole life of the machine: it says what jobs there are, and publishes until it is ended.
func guest() {
	if err := live(); err != nil {
		fmt.Println(failed + err.Error())
	}
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF) // else the host ends it
}

func live() error {
	for _, m := range []struct{ kind, at string }{{"devtmpfs", "/dev"}, {"proc", "/proc"}} {
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	files, err := filepath.Glob("/modules/*")
	if err != nil {
		return err
	}
	for _, path := range files { // in their order
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		_ = f.Close() // it was read
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load module %s: %w", path, err)
		}
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Mount(disk, "/data", "ext4", 0, "")
		if err == nil {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("mount %s: %w", disk, err)
		}
	}
	url, boot := "nats+embedded:///data/jobs?store=128MiB", ""
	for _, word := range strings.Fields(string(line)) {
		if n, ok := strings.CutPrefix(word, "plexor.boot="); ok {
			boot = n
		}
		if word == "plexor.lazy" {
			url += "&sync=off"
		}
	}
	return play(url, boot)
}

// play says what there is, does it, and publishes more.
func play(url, boot string) error {
	ctx := context.Background()
	b, err := mq.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))}.Open(ctx, url)
	if err != nil {
		return err
	}
	q, err := b.Queue(ctx, "jobs", mq.QueueOptions{})
	if err != nil {
		return err
	}
	s, err := q.Stats(ctx)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	if s.Jobs > 0 {
		once, stop := context.WithCancel(ctx)
		left := s.Jobs
		err := q.Consume(once, mq.Consumer{}, func(_ context.Context, j *mq.Job) error {
			mu.Lock()
			defer mu.Unlock()
			fmt.Println(found + j.ID)
			if left--; left == 0 {
				stop()
			}
			return nil
		})
		stop()
		if err != nil {
			return err
		}
	}
	fmt.Println(ready)
	failures := make(chan error, publishers)
	for p := range publishers {
		go func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%s-%d-%d", boot, p, n)
				if _, err := q.Publish(ctx, mq.Message{ID: id, Body: make([]byte, 10_000)}); err != nil {
					failures <- err
					return
				}
				mu.Lock()
				fmt.Println(acked + id)
				mu.Unlock()
			}
		}()
	}
	return <-failures
}
