//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "goroutines: it pins processes to cores: run it on Linux")
	os.Exit(1)
}
