//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// mailBytes is the length of a mail.
const mailBytes = 1024

// mailText is a mail as it is sent, with the line that ends it.
func mailText() string {
	head := "From: <a@x.example>\r\nTo: <b@x.example>\r\nSubject: a mail of the load\r\n" +
		"Date: Sun, 29 Nov 2026 12:00:00 +0000\r\nMessage-ID: <load@x.example>\r\n\r\n"
	line := strings.Repeat("x", 62) + "\r\n"
	body := strings.Repeat(line, (mailBytes-len(head))/len(line))
	rest := mailBytes - len(head) - len(body)
	return head + body + strings.Repeat("y", rest-2) + "\r\n.\r\n"
}

// patience is how long a server may take for an answer.
const patience = time.Minute

// A sender is one connection of the load.
type sender struct {
	nc net.Conn
	r  *bufio.Reader
}

func dial(address string) (*sender, error) {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &sender{nc, bufio.NewReader(nc)}
	if err := s.want("220"); err != nil {
		return nil, err
	}
	return s, s.say("EHLO load.example\r\n", "250")
}

// say sends text in one piece and wants replies of these codes.
func (s *sender) say(text string, codes ...string) error {
	if _, err := s.nc.Write([]byte(text)); err != nil {
		return err
	}
	return s.want(codes...)
}

func (s *sender) want(codes ...string) error {
	_ = s.nc.SetReadDeadline(time.Now().Add(patience)) // if it fails, so does the read
	for _, code := range codes {
		for {
			line, err := s.r.ReadSlice('\n')
			if err != nil {
				return err
			}
			if len(line) < 4 || !bytes.HasPrefix(line, []byte(code)) {
				return fmt.Errorf("it answers %q, want %s", line, code)
			}
			if line[3] != '-' {
				break
			}
		}
	}
	return nil
}

const (
	mailLine = "MAIL FROM:<a@x.example>\r\n"
	rcptLine = "RCPT TO:<b@x.example>\r\n"
	dataLine = "DATA\r\n"
)

// send sends mails while next says so.
func (s *sender) send(mode, text string, next func() bool) error {
	if mode == "steps" {
		for next() {
			for _, step := range [][2]string{{mailLine, "250"}, {rcptLine, "250"}, {dataLine, "354"}, {text, "250"}} {
				if err := s.say(step[0], step[1]); err != nil {
					return err
				}
			}
		}
		return nil
	}
	const group = mailLine + rcptLine + dataLine
	if !next() {
		return nil
	}
	if err := s.say(group, "250", "250", "354"); err != nil {
		return err
	}
	all := text + group
	for next() {
		if err := s.say(all, "250", "250", "250", "354"); err != nil {
			return err
		}
	}
	return s.say(text, "250")
}

// beLoad is the process of the load: for each line that it reads it sends the mails, and prints how many nanoseconds
// they took.
func beLoad(address, mode string, conns, mails int) error {
	text := mailText()
	senders := make([]*sender, conns)
	for i := range senders {
		var err error
		if senders[i], err = dial(address); err != nil {
			return err
		}
	}
	in := bufio.NewReader(os.Stdin)
	for {
		if _, err := in.ReadString('\n'); err != nil {
			return nil // its end
		}
		var sent atomic.Int64
		var failed atomic.Pointer[error]
		var all sync.WaitGroup
		began := time.Now()
		for _, s := range senders {
			all.Go(func() {
				err := s.send(mode, text, func() bool { return sent.Add(1) <= int64(mails) && failed.Load() == nil })
				if err != nil {
					failed.Store(&err)
				}
			})
		}
		all.Wait()
		if err := failed.Load(); err != nil {
			return *err
		}
		fmt.Println(time.Since(began).Nanoseconds())
	}
}
