//go:build linux

// Command qemucut ends a virtual machine in the midst of its writes, again and again (SIGKILL of qemu), and holds that
// no job is lost that the embedded broker in it had acknowledged. The machine is Debian's kernel with this program as
// the only one, by emulation, so that it runs where there is no KVM; the file system is ext4. What the machine had not
// written to its disk is lost; what it had is in the file, for the host lives on. It is no test of CI: a cut takes a
// minute.
//
//	apt-get install qemu-system-x86 && apt-get download linux-image-6.1.0-57-amd64 && dpkg -x linux-image-*.deb kernel
//	CGO_ENABLED=0 go run ./qemucut -kernel kernel
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	patience = 10 * time.Minute // for what a machine has to do, emulated and beside others
	most     = 60               // jobs that are acknowledged before a cut
	diskSize = 512 << 20        // bytes, of which the file takes what was written
)

// What the guest prints, and before an ID: it found that job; it has looked at all; the broker acknowledged that one.
const (
	found  = "PLEXOR-FOUND "
	ready  = "PLEXOR-READY"
	acked  = "PLEXOR-ACKED "
	failed = "PLEXOR-FAILED "
)

func main() {
	if os.Getpid() == 1 {
		guest()
		return
	}
	kernel := flag.String("kernel", "kernel", "the folder that Debian's package of a kernel was unpacked to")
	cuts := flag.Int("cuts", 10, "how often the machine is ended")
	lazy := flag.Bool("lazy", false, "the broker does not sync: it must lose jobs, or this tries nothing")
	flag.Parse()
	if err := run(*kernel, *cuts, *lazy); err != nil {
		fmt.Fprintln(os.Stderr, "qemucut:", err)
		os.Exit(1)
	}
}

// A machine is what is needed to start one.
type machine struct {
	kernel, initrd, disk string
	lazy                 bool
}

func run(kernel string, cuts int, lazy bool) error {
	dir, err := os.MkdirTemp("", "qemucut")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	m := &machine{initrd: filepath.Join(dir, "initrd"), disk: filepath.Join(dir, "disk"), lazy: lazy}
	images, err := filepath.Glob(filepath.Join(kernel, "boot", "vmlinuz-*"))
	if err != nil || len(images) != 1 {
		return fmt.Errorf("%s has not one boot/vmlinuz-*: unpack Debian's package of a kernel there: %q, %v", kernel, images,
			err)
	}
	m.kernel = images[0]
	if err := makeInitrd(m.initrd, kernel); err != nil {
		return err
	}
	if err := os.WriteFile(m.disk, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(m.disk, diskSize); err != nil {
		return err
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", m.disk).CombinedOutput(); err != nil {
		return fmt.Errorf("mkfs.ext4: %w: %s", err, out)
	}
	var before []string // that the machine before had acknowledged
	total, lost := 0, 0
	for boot := range cuts + 1 {
		has, promised, err := m.boot(boot, boot < cuts)
		if err != nil {
			return err
		}
		here := 0
		for _, id := range before {
			if !has[id] {
				here++
				fmt.Println("lost:", id)
			}
		}
		if boot > 0 {
			fmt.Printf("cut %d: %d jobs were acknowledged, %d are lost\n", boot, len(before), here)
		}
		total, lost, before = total+len(before), lost+here, promised
	}
	fmt.Printf("%d cuts: %d jobs were acknowledged, %d are lost\n", cuts, total, lost)
	switch {
	case lazy && lost == 0:
		return errors.New("nothing is lost: this tries nothing")
	case !lazy && lost > 0:
		return fmt.Errorf("%d jobs are lost", lost)
	}
	return nil
}

// boot starts the machine and reads what it finds; then, if cut, it lets it publish, and ends it in the midst.
func (m *machine) boot(n int, cut bool) (has map[string]bool, promised []string, err error) {
	args := fmt.Sprintf("console=ttyS0 quiet panic=-1 random.trust_cpu=on plexor.boot=%d", n)
	if m.lazy {
		args += " plexor.lazy"
	}
	c := exec.Command("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "768", "-display", "none", "-no-reboot",
		"-nodefaults", "-serial", "stdio", "-kernel", m.kernel, "-initrd", m.initrd, "-append", args,
		"-drive", "file="+m.disk+",if=virtio,format=raw,cache=writeback")
	c.Stderr = os.Stderr
	in, err := c.StdinPipe() // whose end would be the console's
	if err != nil {
		return nil, nil, err
	}
	defer in.Close()
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := c.Start(); err != nil {
		return nil, nil, err
	}
	late := time.AfterFunc(patience, func() { _ = c.Process.Kill() }) // it may have ended
	has, promised, err = m.listen(out, cut, c.Process)
	late.Stop()
	_ = c.Process.Kill() // it may have ended
	_ = c.Wait()         // it was killed
	return has, promised, err
}

// listen reads what the guest prints until it was killed.
func (m *machine) listen(out io.Reader, cut bool, p *os.Process) (has map[string]bool, promised []string, err error) {
	has = make(map[string]bool)
	after := 1 + rand.IntN(most)
	var tail []string
	isReady := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		tail = append(tail[max(0, len(tail)-20):], line)
		if id, ok := strings.CutPrefix(line, found); ok {
			has[id] = true
		}
		if why, ok := strings.CutPrefix(line, failed); ok {
			return nil, nil, fmt.Errorf("the machine says: %s", why)
		}
		if line == ready {
			isReady = true
			if !cut {
				return has, nil, nil
			}
		}
		if id, ok := strings.CutPrefix(line, acked); ok {
			if promised = append(promised, id); len(promised) == after {
				time.AfterFunc(time.Duration(rand.IntN(100))*time.Millisecond, func() { _ = p.Kill() }) // it may have ended
			}
		}
	}
	if !isReady || len(promised) < after {
		return nil, nil, fmt.Errorf("the machine ended, or did not go on, after:\n%s", strings.Join(tail, "\n"))
	}
	return has, promised, nil
}
