package main

import (
	"fmt"

	"github.com/plexor-go/plexor/loop"
)

type driversCmd struct{}

// Run prints a line a driver: its name, and yes, or no and the reason.
func (driversCmd) Run(c *console) error {
	chosen := false
	for _, d := range loop.Drivers() {
		switch {
		case d.Err != nil:
			fmt.Fprintf(c.out, "%-8s %s   %v\n", d.Name, c.paint(c.out, yellow, "no"), d.Err)
		case !chosen:
			chosen = true
			fmt.Fprintf(c.out, "%-8s %s  %s\n", d.Name, c.paint(c.out, green, "yes"), c.paint(c.out, faint, "auto takes this one"))
		default:
			fmt.Fprintf(c.out, "%-8s %s\n", d.Name, c.paint(c.out, green, "yes"))
		}
	}
	if !chosen {
		return fmt.Errorf("no driver works here")
	}
	return nil
}
