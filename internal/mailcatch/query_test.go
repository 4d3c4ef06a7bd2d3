package mailcatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestQuery(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{})
	file := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nthe text has an Elephant, " +
		strings.Repeat("far ", 100) +
		"away\r\n--b\r\nContent-Disposition: attachment\r\n\r\nx\r\n--b--\r\n"
	deliver(t, s, someone("hidden@example.org"),
		"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= one\r\nFrom: A <a@x>\r\nTo: B <b@x>\r\n"+file)
	read := deliver(t, s, someone("c@x"), text("two", "hello"))
	if err := s.MarkRead(true, read.ID); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ query, want string }{
		{"", "two Grüße one"},
		{"GRÜSSE", ""},
		{"GRÜßE", "Grüße one"},
		{"subject:one", "Grüße one"},
		{`subject:"grüße one"`, "Grüße one"},
		{`subject:"one`, "Grüße one"},
		{"from:a@x", "Grüße one"},
		{"from:sender@", "two Grüße one"},
		{"to:hidden", "Grüße one"},
		{"to:b@x", "Grüße one"},
		{"to:hidden subject:two", ""},
		{"away", "Grüße one"},
		{"text:ELEPHANT", "Grüße one"},
		{"text:one", ""},
		{"elephant one", "Grüße one"},
		{"is:unread", "Grüße one"},
		{"is:read", "two"},
		{"is:other", ""},
		{"has:attachment", "Grüße one"},
		{read.ID, "two"},
		{"unknown:hello", ""},
		{"from:", "two Grüße one"},
		{strings.Repeat("two ", 1000), "two"},
		{strings.Repeat("ü", 600), ""},
	} {
		if got := list(t, s, row.query); got != row.want {
			t.Errorf("%q finds %q, want %q", row.query, got, row.want)
		}
	}
}

// TestPages: a list comes in parts, and a search for text reads no more than it may.
func TestPages(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Limits: Limits{SearchBytes: 5 * int64(len(text("0", "hello")))}})
	numbered(t, s, 12)
	var got []string
	before, pages := uint64(0), 0
	for more := true; more; pages++ {
		l, err := s.List(t.Context(), Query{}, before, 5)
		if err != nil || l.Total != 12 || l.Unread != 12 {
			t.Fatalf("%+v, %v", l, err)
		}
		for _, m := range l.Mails {
			got = append(got, m.Subject)
			before = m.Number
		}
		more = l.More
	}
	if want := "11 10 9 8 7 6 5 4 3 2 1 0"; strings.Join(got, " ") != want || pages != 3 {
		t.Errorf("%q in %d pages", got, pages)
	}
	for _, want := range []int{5, 10, 12} { // what was read once is kept
		l, err := s.List(t.Context(), ParseQuery("text:hello"), 0, 50)
		if err != nil || len(l.Mails) != want || l.Partial != (want < 12) {
			t.Errorf("found %d, partial %v, %v; want %d", len(l.Mails), l.Partial, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.List(ctx, Query{}, 0, 50); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestTextsAreBounded(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Limits: Limits{TextBytes: 20}})
	numbered(t, s, 12)
	if got := list(t, s, "text:hello"); len(strings.Fields(got)) != 12 || s.index.said > 20 || s.index.said == 0 {
		t.Errorf("found %q, kept %d bytes", got, s.index.said)
	}
	if _, err := s.DeleteAll(); err != nil || s.index.said != 0 || s.index.bytes != 0 || s.index.unread != 0 {
		t.Errorf("%v: what is left is %+v", err, s.index)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Limits: Limits{Waiters: 2}})
	numbered(t, s, 3)
	zero, two, three := uint64(0), uint64(2), uint64(3)
	for _, row := range []struct {
		want Want
		got  string
	}{
		{Want{}, "2"},
		{Want{To: "TO@example.com"}, "2"},
		{Want{To: "t?@*", Subject: "1"}, "1"},
		{Want{To: "two@example.com", From: "one@example.com"}, "2"},
		{Want{From: "sender@*", After: &zero}, "0"},
		{Want{After: &two}, "2"},
	} {
		if m, err := s.Wait(t.Context(), row.want); err != nil || m.Subject != row.got {
			t.Errorf("%+v: %q, %v", row.want, m.Subject, err)
		}
	}
	type result struct {
		m   Mail
		err error
	}
	results := make(chan result, 2)
	for range 2 {
		go func() {
			m, err := s.Wait(context.Background(), Want{To: "new@*", After: &three})
			results <- result{m, err}
		}()
	}
	until(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.waiters) == 2
	})
	if _, err := s.Wait(t.Context(), Want{To: "new@*"}); !errors.Is(err, ErrTooMany) || s.Counts().Waits != 1 {
		t.Errorf("a third one: %v", err)
	}
	numbered(t, s, 1)
	deliver(t, s, someone("new@x"), text("new", ""))
	for range 2 {
		if r := <-results; r.err != nil || r.m.Subject != "new" {
			t.Errorf("%q, %v", r.m.Subject, r.err)
		}
	}
	go func() {
		m, err := s.Wait(context.Background(), Want{To: "nobody@x"})
		results <- result{m, err}
	}()
	until(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.waiters) == 1
	})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if r := <-results; !errors.Is(r.err, ErrClosed) {
		t.Errorf("at Close: %v", r.err)
	}
	if _, err := s.Wait(t.Context(), Want{}); !errors.Is(err, ErrClosed) {
		t.Errorf("behind Close: %v", err)
	}
}

func TestWaitEnds(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, dir, Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		_, err := s.Wait(ctx, Want{To: "a@b"})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if len(s.waiters) != 0 {
			t.Error("it waits still")
		}
	})
}

func TestGlob(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "abc", true}, {"a*", "Abc", true}, {"a*", "ba", false},
		{"*@x", "a@x", true}, {"*@x", "a@xx", false}, {"a?c", "abc", true}, {"a?c", "ac", false}, {"*a*b*", "xxaxxbxx", true},
		{"**", "x", true}, {"a*a", "a", false}, {"*ab", "aab", true}, {"[a]", "a", false},
	} {
		if got := glob(row.pattern, row.s); got != row.want {
			t.Errorf("glob(%q, %q) = %v", row.pattern, row.s, got)
		}
	}
	began := time.Now()
	if glob(strings.Repeat("*a", 400)+"b", strings.Repeat("a", 8000)) {
		t.Error("it is met")
	}
	if took := time.Since(began); took > 5*time.Second { // some 10 ms
		t.Errorf("it took %v", took)
	}
}

func ExampleParseQuery() {
	fmt.Println(len(ParseQuery(`from:shop@example.com subject:"your order" is:unread`).terms))
	// Output: 3
}
