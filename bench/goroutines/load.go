//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// warmup is for how long a server is loaded before each measurement.
const warmup = 20 * time.Millisecond

// beLoad is the process of the load: on each of its connections it asks, waits for the answer, and asks again. It does
// so for each line that it reads, until its input ends: it prints a line when all is warm, and at the end how many
// requests were answered since then, in how many nanoseconds, and the 99th percentile of how long they took, of a room.
func beLoad(address, service string, conns int, d time.Duration) error {
	if service == "room" {
		return beRoom(address, conns, d, bufio.NewScanner(os.Stdin))
	}
	dial := loads[service]
	if dial == nil {
		return fmt.Errorf("no service %q", service)
	}
	asks := make([]func() error, conns)
	for i := range asks {
		ask, err := dial(address)
		if err == nil {
			err = ask()
		}
		if err != nil {
			return err
		}
		asks[i] = ask
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if err := loadOnce(asks, d); err != nil {
			return err
		}
	}
	return nil
}

func loadOnce(asks []func() error, d time.Duration) error {
	var answered atomic.Int64
	var over atomic.Bool
	errs := make([]error, len(asks))
	var g sync.WaitGroup
	for i, ask := range asks {
		g.Go(func() {
			for !over.Load() && errs[i] == nil {
				errs[i] = ask()
				answered.Add(1)
			}
		})
	}
	time.Sleep(warmup)
	before, began := answered.Load(), time.Now()
	fmt.Println("begin")
	time.Sleep(d)
	fmt.Println(answered.Load()-before, time.Since(began).Nanoseconds(), 0)
	over.Store(true)
	g.Wait()
	return errors.Join(errs...)
}

// loads connect, and return what asks once.
var loads = map[string]func(address string) (func() error, error){"http": dialHTTP, "grpc": dialGRPC, "echo": dialEcho,
	"ws": dialEchoSocket}

func dialHTTP(address string) (func() error, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	request := []byte("GET / HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
	r := bufio.NewReader(c)
	return func() error {
		if _, err := c.Write(request); err != nil {
			return err
		}
		return readAnswer(r)
	}, nil
}

func dialEcho(address string) (func() error, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	out, in := make([]byte, bodySize), make([]byte, bodySize)
	return func() error {
		if _, err := c.Write(out); err != nil {
			return err
		}
		_, err := io.ReadFull(c, in)
		return err
	}, nil
}

func dialGRPC(address string) (func() error, error) {
	c, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	msg := wrapperspb.Bytes(make([]byte, bodySize))
	return func() error {
		out := new(wrapperspb.BytesValue)
		if err := c.Invoke(context.Background(), echoMethod, msg, out); err != nil {
			return err
		}
		if len(out.Value) != bodySize {
			return fmt.Errorf("%d bytes came back", len(out.Value))
		}
		return nil
	}, nil
}
