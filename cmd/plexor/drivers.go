package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/selector"
)

type driversCmd struct {
	NoIOUring bool `name:"no-io-uring" help:"Leave io_uring alone, as serve does with the same flag."`
}

const ioUring = "io_uring"

var (
	errSwitchedOff = errors.New("switched off by --no-io-uring")
	errNoDriver    = errors.New("no driver works here; 'plexor drivers' tells why")
)

// drivers lists what a loop can wait on; with noIOUring without so much as trying io_uring.
func drivers(noIOUring bool) []loop.DriverInfo {
	if !noIOUring {
		return loop.Drivers()
	}
	ds := []loop.DriverInfo{{Name: ioUring, Err: errSwitchedOff}}
	for _, a := range selector.Available() {
		ds = append(ds, loop.DriverInfo{Name: a.Name, Err: a.Err})
	}
	return ds
}

// best is the name of the first that works.
func best(ds []loop.DriverInfo) (string, error) {
	for _, d := range ds {
		if d.Err == nil {
			return d.Name, nil
		}
	}
	return "", errNoDriver
}

// Run prints a line a driver: its name, and yes with what it found, or no and the reason.
func (cmd driversCmd) Run(c *console) error {
	chosen := false
	for _, d := range drivers(cmd.NoIOUring) {
		if d.Err != nil {
			fmt.Fprintf(c.out, "%-8s %s   %v\n", d.Name, c.paint(c.out, yellow, "no"), d.Err)
			continue
		}
		var more []string
		if !chosen {
			chosen = true
			more = append(more, "auto takes this one")
		}
		if len(d.Features) > 0 {
			more = append(more, "with "+strings.Join(d.Features, " "))
		}
		line := fmt.Sprintf("%-8s %s  %s", d.Name, c.paint(c.out, green, "yes"),
			c.paint(c.out, faint, strings.Join(more, ", ")))
		fmt.Fprintln(c.out, strings.TrimRight(line, " "))
	}
	if !chosen {
		return errNoDriver
	}
	return nil
}
