//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "netstack: it needs TAP devices and network namespaces: run it on Linux")
	os.Exit(1)
}
