//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "mq: the brokers that it starts are those of Debian: run it on Linux")
	os.Exit(1)
}
