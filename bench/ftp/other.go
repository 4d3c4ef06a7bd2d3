//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "ftp: it reads CPU times from /proc: run it on Linux")
	os.Exit(1)
}
