package main

import (
	"fmt"
	"strings"

	"github.com/plexor-go/plexor/loop"
)

type driversCmd struct{}

// Run prints a line a driver: its name, and yes with what it found, or no and the reason.
func (driversCmd) Run(c *console) error {
	chosen := false
	for _, d := range loop.Drivers() {
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
		line := fmt.Sprintf("%-8s %s  %s", d.Name, c.paint(c.out, green, "yes"), c.paint(c.out, faint, strings.Join(more, ", ")))
		fmt.Fprintln(c.out, strings.TrimRight(line, " "))
	}
	if !chosen {
		return fmt.Errorf("no driver works here")
	}
	return nil
}
