//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "http: it pins processes to cores: run it on Linux")
	os.Exit(1)
}
