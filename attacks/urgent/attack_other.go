//go:build !linux

package main

import (
	"errors"
	"time"
)

type attack struct {
	clients, rounds int
	signals         bool
	wait            time.Duration
}

var errLinux = errors.New("this attack is on what Linux does with urgent data; it runs there")

func drivers(string) []string { return []string{"none"} }

func (a attack) serveAndRun(string) (outcome, error) { return outcome{}, errLinux }

func (a attack) run(string) (outcome, error) { return outcome{}, errLinux }
