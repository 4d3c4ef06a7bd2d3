package smtp

import (
	"regexp"
	"strings"
	"testing"
)

// limitsForm is the form of what stands behind LIMITS (RFC 9422, section 3).
var limitsForm = regexp.MustCompile(`^[A-Za-z0-9_-]+(=[!-:<-~]+)?( [A-Za-z0-9_-]+(=[!-:<-~]+)?)*$`)

// TestLimitsOffered: a server says which limits it holds, once, to EHLO and LHLO, in the form of RFC 9422, and not to
// HELO; TestLimits has that it holds them.
func TestLimitsOffered(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"EHLO", "LHLO", "HELO"} {
		srv := &Server{Backend: new(store), LMTP: verb == "LHLO", Limits: Limits{Messages: 2, Recipients: 3, Domains: 4}}
		k := dial(t, serve(t, srv))
		k.want("220")
		for range 2 { // what it says the second time is the same
			k.send(verb + " x.example\r\n")
			var offered []string
			for l := range strings.SplitSeq(k.reply(), "/") {
				if params, ok := strings.CutPrefix(l[4:], "LIMITS "); ok {
					offered = append(offered, params)
				}
			}
			if verb == "HELO" && len(offered) > 0 || verb != "HELO" && (len(offered) != 1 ||
				offered[0] != "MAILMAX=2 RCPTMAX=3 RCPTDOMAINMAX=4" || !limitsForm.MatchString(offered[0])) {
				t.Errorf("%s: it offers %q", verb, offered)
			}
		}
	}
}

// TestLimitsTaken: a client takes the limits that it knows, where their values are numbers from 1 to 999999, and no
// others.
func TestLimitsTaken(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		said string
		want serverLimits
	}{
		{"LIMITS MAILMAX=5 RCPTMAX=20 RCPTDOMAINMAX=1", serverLimits{5, 20, 1}},
		{"limits mailmax=999999", serverLimits{messages: 999999}},
		{"LIMITS RCPTMAX=7 FOOMAX=1 MAILMAX2=3 X-Y_Z BAR=a=b", serverLimits{recipients: 7}},
		{"LIMITS MAILMAX RCPTMAX= RCPTDOMAINMAX=x", serverLimits{}},
		{"LIMITS MAILMAX=0 RCPTMAX=-1 RCPTDOMAINMAX=1000000", serverLimits{}},
		{"LIMITS MAILMAX=01 RCPTMAX=+2", serverLimits{}},
		{"LIMITS", serverLimits{}},
		{"XLIMITS MAILMAX=5", serverLimits{}},
	} {
		addr := scripted(t, func(k *talker) {
			k.greets(row.said)
			k.heard("QUIT")
		})
		c := connect(t, addr, ClientOptions{})
		if c.offered != row.want {
			t.Errorf("%q: it takes %+v, want %+v", row.said, c.offered, row.want)
		}
		_ = c.Quit(t.Context())
	}
}
