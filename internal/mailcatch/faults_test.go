package mailcatch

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestRules(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		rule string
		at   Stage
		what string
		want Action
	}{
		{"rcpt:bad@*:550", AtRcpt, "BAD@x", Action{Code: 550, Text: "refused by a rule"}},
		{"rcpt:bad@*:550", AtRcpt, "good@x", Action{}},
		{"rcpt:bad@*:550", AtMail, "bad@x", Action{}},
		{"mail:*:451 4.7.1 try: again, later", AtMail, "", Action{Code: 451, Enhanced: "4.7.1", Text: "try: again, later"}},
		{"data:*:552 too much", AtData, "a@b", Action{Code: 552, Text: "too much"}},
		{"data:*:cut=1000", AtData, "a@b", Action{Cut: true, CutAfter: 1000}},
		{"connect:192.0.2.*:cut", AtConnect, "192.0.2.1", Action{Cut: true}},
		{"connect:[2001:db8::*]:421", AtConnect, "2001:db8::1", Action{Code: 421, Text: "refused by a rule"}},
		{"helo:?bc:delay=2s", AtHelo, "abc", Action{Delay: 2 * time.Second}},
		{"rcpt:*@[IPv6:*]:550", AtRcpt, "a@[IPv6:::1]", Action{Code: 550, Text: "refused by a rule"}},
	} {
		var f Faults
		if err := f.Set([]string{row.rule}); err != nil {
			t.Errorf("%s: %v", row.rule, err)
		}
		if got := f.Decide(time.Now(), row.at, row.what); got != row.want {
			t.Errorf("%s at %s %s: %+v, want %+v", row.rule, row.at, row.what, got, row.want)
		}
	}
}

func TestRulesRefused(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ rule, why string }{
		{"", "want STAGE:PATTERN:ACTION"},
		{"rcpt", "want STAGE:PATTERN:ACTION"},
		{"rcpt:bad@*", "want STAGE:PATTERN:ACTION"},
		{"rcpt::550", "want STAGE:PATTERN:ACTION"},
		{"connect:[::1:421", "want STAGE:PATTERN:ACTION"},
		{"quit:*:550", `"quit" is none of connect, helo, mail, rcpt and data`},
		{"rcpt:*:", `want a code from 400 to 599, delay=DURATION, or cut`},
		{"rcpt:*:250", `want a code from 400 to 599`},
		{"rcpt:*:0550", `want a code from 400 to 599`},
		{"rcpt:*:600", `want a code from 400 to 599`},
		{"rcpt:*:550 4.1.1 x", `550 and 4.1.1 are of two classes`},
		{"rcpt:*:delay=x", "want a duration up to 5m0s"},
		{"rcpt:*:delay=1h", "want a duration up to 5m0s"},
		{"rcpt:*:delay=-1s", "want a duration up to 5m0s"},
		{"rcpt:*:cut=5", "bytes are counted at data alone"},
		{"data:*:cut=-5", "want a number of bytes"},
		{"data:*:cut=x", "want a number of bytes"},
		{"rcpt,first=0:*:550", `condition "first=0": want a number from 1 on`},
		{"rcpt,every=x:*:550", `condition "every=x": want a number`},
		{"rcpt,over=10:*:421", `condition "over=10": want a number and a duration`},
		{"rcpt,over=10/0s:*:421", `condition "over=10/0s": want a number and a duration`},
		{"rcpt,p=1:*:421", `it is none of first=N, every=N and over=N/DURATION`},
		{"rcpt:*:550 x\r\n250 fine", "it has a control character"},
		{"rcpt:" + strings.Repeat("x", 1000) + ":550", "it is longer than 1000 bytes"},
	} {
		if _, err := ParseRule(row.rule); !errors.Is(err, ErrRule) || !strings.Contains(err.Error(), row.why) {
			t.Errorf("%q: %v, want %q", row.rule, err, row.why)
		}
	}
	var f Faults
	if err := f.Set([]string{"rcpt:*:550"}); err != nil {
		t.Fatal(err)
	}
	if f.Set([]string{"mail:*:550", "x"}) == nil || f.Set(make([]string, mostRules+1)) == nil ||
		f.State()[0].Rule != "rcpt:*:550" {
		t.Errorf("wrong rules took the place of right ones: %+v", f.State())
	}
}

// TestConditions: the answers of ten times, a second apart.
func TestConditions(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		rules []string
		want  string
	}{
		{"the first", []string{"rcpt,first=2:*:450"}, "450 450 0 0 0 0 0 0 0 0"},
		{"each third", []string{"rcpt,every=3:*:450"}, "0 0 450 0 0 450 0 0 450 0"},
		{"a rate", []string{"rcpt,over=2/4s:*:421"}, "0 0 421 421 0 0 421 421 0 0"},
		{"both", []string{"rcpt,every=2,first=4:*:450"}, "0 450 0 450 0 0 0 0 0 0"},
		{"the first rule wins", []string{"rcpt,every=2:*:450", "rcpt,every=3:*:451"}, "0 450 0 450 451 450 0 450 0 450"},
		{"delays add up", []string{"rcpt:*:delay=1s", "rcpt:*:delay=2s", "rcpt,first=1:*:450", "rcpt:*:delay=4s"},
			"450+3s 0+7s 0+7s 0+7s 0+7s 0+7s 0+7s 0+7s 0+7s 0+7s"},
	} {
		var f Faults
		if err := f.Set(row.rules); err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range 10 {
			a := f.Decide(time.Unix(int64(i), 0), AtRcpt, "a@b")
			s := fmt.Sprint(a.Code)
			if a.Delay > 0 {
				s += "+" + a.Delay.String()
			}
			got = append(got, s)
		}
		if s := strings.Join(got, " "); s != row.want {
			t.Errorf("%s: %s, want %s", row.name, s, row.want)
		}
	}
	var f Faults
	if err := f.Set([]string{"mail,first=1:*:550"}); err != nil {
		t.Fatal(err)
	}
	f.Decide(time.Now(), AtMail, "a@b")
	f.Decide(time.Now(), AtMail, "a@b")
	if got := f.State()[0]; got.Seen != 2 || got.Struck != 1 {
		t.Errorf("the state is %+v", got)
	}
}

func FuzzRule(f *testing.F) {
	f.Add("rcpt,first=2,over=1/2s:bad@[::1]:550 5.1.1 no")
	f.Add("data:*:cut=12")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRule(text)
		if err != nil {
			if !errors.Is(err, ErrRule) {
				t.Fatal(err)
			}
			return
		}
		a := r.act
		if a.Code != 0 && (a.Code < 400 || a.Code > 599) || strings.ContainsAny(a.Text, "\r\n") ||
			a.Code == 0 && !a.Cut && a.Delay == 0 {
			t.Fatalf("%q is %+v", text, a)
		}
		for range 3 {
			r.strikes(time.Now())
		}
	})
}
