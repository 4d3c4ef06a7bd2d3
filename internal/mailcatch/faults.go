package mailcatch

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Stage is where in a session a fault strikes.
type Stage string

// The stages. What a rule's pattern is compared with stands behind each.
const (
	AtConnect Stage = "connect" // the client's IP address
	AtHelo    Stage = "helo"    // the name that the client gives itself
	AtMail    Stage = "mail"    // the sender
	AtRcpt    Stage = "rcpt"    // the recipient
	AtData    Stage = "data"    // each recipient that was taken
)

var stages = []Stage{AtConnect, AtHelo, AtMail, AtRcpt, AtData}

// Bounds of rules.
const (
	mostRules = 100             // more make no script that somebody reads
	mostRule  = 1000            // bytes
	mostDelay = 5 * time.Minute // clients give up by then (RFC 5321, section 4.5.3.2)
)

// A Rule is one fault. [ParseRule] reads it.
type Rule struct {
	text    string
	stage   Stage
	pattern string
	act     Action

	first, every int // 0: not asked for
	over         int
	window       time.Duration // of over

	seen   int64 // times that stage and pattern were met
	struck int64 // and the conditions too
	since  time.Time
	within int // times in the window that began at since
}

// An Action is what a server is to do. The zero value is nothing.
type Action struct {
	Delay time.Duration // before anything else
	// Code, if not 0, is the answer, from 400 to 599; 421 closes the connection behind it. Enhanced is that of RFC 3463,
	// as "5.1.1", if the rule has one.
	Code     int
	Enhanced string
	Text     string
	// Cut closes the connection without an answer. At data it is done when CutAfter bytes of the message have come.
	Cut      bool
	CutAfter int64
}

// ErrRule is a rule that can't be read. What follows in the error's text says why.
var ErrRule = errors.New("mailcatch: this is no fault")

func noRule(text, format string, args ...any) error {
	return fmt.Errorf("%w: %q: %s", ErrRule, text, fmt.Sprintf(format, args...))
}

// ParseRule reads a rule:
//
//	STAGE[,CONDITION…]:PATTERN:ACTION
//
// STAGE is connect, helo, mail, rcpt or data. PATTERN is compared with what the stage has, whatever the case: *
// stands for any characters, ? for one; an IPv6 address stands in brackets. ACTION is a code with an enhanced code
// and a text if wanted ("550 5.1.1 no such user"), delay=DURATION, cut, or at data cut=BYTES. A CONDITION is first=N
// (the first N times), every=N (each N-th time), or over=N/DURATION (what exceeds N in that time).
func ParseRule(text string) (*Rule, error) {
	if len(text) > mostRule {
		return nil, noRule(text[:40]+"…", "it is longer than %d bytes", mostRule)
	}
	if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return nil, noRule(text, "it has a control character")
	}
	head, rest, ok := strings.Cut(text, ":")
	pattern, action, ok2 := cutPattern(rest)
	if !ok || !ok2 || pattern == "" {
		return nil, noRule(text, "want STAGE:PATTERN:ACTION, such as rcpt:bad@*:550")
	}
	r := &Rule{text: text, pattern: pattern}
	for i, word := range strings.Split(head, ",") {
		if i == 0 {
			if r.stage = Stage(word); !slices.Contains(stages, r.stage) {
				return nil, noRule(text, "%q is none of connect, helo, mail, rcpt and data", word)
			}
		} else if err := r.condition(word); err != nil {
			return nil, noRule(text, "condition %q: %v", word, err)
		}
	}
	if err := r.action(action); err != nil {
		return nil, noRule(text, "action %q: %v", action, err)
	}
	return r, nil
}

// cutPattern cuts at the first colon that is not in brackets.
func cutPattern(s string) (pattern, rest string, ok bool) {
	in := false
	for i := range len(s) {
		switch s[i] {
		case '[':
			in = true
		case ']':
			in = false
		case ':':
			if !in {
				return s[:i], s[i+1:], true
			}
		}
	}
	return s, "", false
}

func (r *Rule) condition(word string) (err error) {
	key, value, _ := strings.Cut(word, "=")
	positive := func(s string) int {
		n, e := strconv.Atoi(s)
		if e != nil || n <= 0 {
			err = errors.New("want a number from 1 on")
		}
		return n
	}
	switch key {
	case "first":
		r.first = positive(value)
	case "every":
		r.every = positive(value)
	case "over":
		n, window, _ := strings.Cut(value, "/")
		r.over = positive(n)
		if r.window, _ = time.ParseDuration(window); err == nil && r.window <= 0 {
			err = errors.New("want a number and a duration, such as over=10/1m")
		}
	default:
		err = errors.New("it is none of first=N, every=N and over=N/DURATION")
	}
	return err
}

func (r *Rule) action(text string) error {
	word, value, has := strings.Cut(text, "=")
	switch {
	case word == "delay":
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 || d > mostDelay {
			return fmt.Errorf("want a duration up to %v, such as delay=2s", mostDelay)
		}
		r.act.Delay = d
		return nil
	case word == "cut":
		r.act.Cut = true
		if !has {
			return nil
		}
		if r.stage != AtData {
			return errors.New("bytes are counted at data alone")
		}
		var err error
		if r.act.CutAfter, err = strconv.ParseInt(value, 10, 64); err != nil || r.act.CutAfter < 0 {
			return errors.New("want a number of bytes, such as cut=1000")
		}
		return nil
	}
	code, rest, _ := strings.Cut(text, " ")
	n, err := strconv.Atoi(code)
	if err != nil || n < 400 || n > 599 || len(code) != 3 {
		return errors.New("want a code from 400 to 599, delay=DURATION, or cut")
	}
	r.act.Code = n
	first, more, _ := strings.Cut(rest, " ")
	if isEnhanced(first) {
		if first[0] != code[0] {
			return fmt.Errorf("%s and %s are of two classes", code, first)
		}
		r.act.Enhanced, rest = first, more
	}
	if r.act.Text = rest; rest == "" {
		r.act.Text = "refused by a rule"
	}
	return nil
}

// isEnhanced reports whether s is a code of RFC 3463.
func isEnhanced(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || parts[0] != "4" && parts[0] != "5" {
		return false
	}
	return !slices.ContainsFunc(parts, func(p string) bool {
		n, err := strconv.Atoi(p)
		return err != nil || n < 0 || n > 999 || len(p) > 3
	})
}

// Faults are the rules of a server. The zero value has none. Its methods are for any goroutine.
type Faults struct {
	mu    sync.Mutex
	rules []*Rule
}

// Set takes rules in the place of those that there are, and counts anew. If one is wrong, all stays as it was.
func (f *Faults) Set(texts []string) error {
	if len(texts) > mostRules {
		return fmt.Errorf("%w: there are %d, of %d", ErrRule, len(texts), mostRules)
	}
	rules := make([]*Rule, 0, len(texts))
	for _, text := range texts {
		r, err := ParseRule(text)
		if err != nil {
			return err
		}
		rules = append(rules, r)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = rules
	return nil
}

// A RuleState is a rule with what became of it.
type RuleState struct {
	Rule   string `json:"rule"`
	Seen   int64  `json:"seen"`   // times that its stage and pattern were met
	Struck int64  `json:"struck"` // times that it was applied
}

// State returns the rules in their order.
func (f *Faults) State() []RuleState {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := []RuleState{}
	for _, r := range f.rules {
		all = append(all, RuleState{r.text, r.seen, r.struck})
	}
	return all
}

// Decide returns what is to be done at a stage, where what is what the rules' patterns are compared with. Rules are
// asked in their order: delays add up, to 5 minutes at the most, until one refuses or cuts.
func (f *Faults) Decide(now time.Time, at Stage, what ...string) (a Action) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rules {
		if r.stage != at || !slices.ContainsFunc(what, r.matches) || !r.strikes(now) {
			continue
		}
		if r.act.Delay > 0 {
			a.Delay = min(a.Delay+r.act.Delay, mostDelay)
			continue
		}
		delay := a.Delay
		a = r.act
		a.Delay = delay
		return a
	}
	return a
}

// matches compares the pattern. The brackets of an IPv6 address are the rule's alone.
func (r *Rule) matches(what string) bool {
	return glob(r.pattern, what) ||
		r.stage == AtConnect && strings.HasPrefix(r.pattern, "[") && glob(strings.Trim(r.pattern, "[]"), what)
}

// strikes counts, and asks the conditions.
func (r *Rule) strikes(now time.Time) bool {
	r.seen++
	if r.over > 0 {
		if r.within == 0 || now.Sub(r.since) >= r.window {
			r.since, r.within = now, 0
		}
		r.within++
	}
	if r.first > 0 && r.seen > int64(r.first) || r.every > 0 && r.seen%int64(r.every) != 0 ||
		r.over > 0 && r.within <= r.over {
		return false
	}
	r.struck++
	return true
}
