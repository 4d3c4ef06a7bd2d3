package smtp

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// aiosmtpdPlugin has the tests of aiosmtpd talk with the server at PEER in place of their own: nothing is started and
// stopped. A refusal is one of the same first digit, since that is what a client goes by (RFC 5321, section 4.2).
const aiosmtpdPlugin = `
import os
from aiosmtpd import controller
from aiosmtpd.testing import statuscodes

host, port = os.environ["PEER"].rsplit(":", 1)

def same(self, other):
    code = other[0]
    return code == self.code or code >= 400 and code // 100 == self.code // 100

def start(self, *args, **kwargs):
    self.hostname, self.port = host, int(port)

statuscodes.StatusCode.__eq__ = same
statuscodes.StatusCode.__ne__ = lambda self, other: not same(self, other)
statuscodes.StatusCode.__hash__ = tuple.__hash__
controller.Controller.start = start
controller.Controller.stop = lambda self, *args, **kwargs: None
`

// aiosmtpdClasses are those of its tests that need a server, and little else of theirs.
const aiosmtpdClasses = "TestSMTP or TestSMTPNonDecoding or TestSMTPAuth or TestAuthMechanisms or TestStrictASCII"

// aiosmtpdLeft are its tests that do not apply: what their names have, and why. Each is run, and must fail, but for the
// first one, which waits for ever.
var aiosmtpdLeft = [][2]string{
	{`::test_data_354$`, "it stops its server in the midst of a message"},
	{`::test_ehlo$`, "it lists the extensions of its own server"},
	{`::test_help`, "HELP is not offered"},
	// Those that are left have brackets.
	{`_valid_address\[(0|2|4|[6-9]|1[0-8]|2[124-9]|3\d|4[12])\]$`, "an address without brackets is none in a command"},
	{`::test_vrfy_not_address$`, "VRFY is answered alike for all"},
	{`::TestSMTPAuth::test_auth_loginteract_warning$`, "it looks at a warning of its own server"},
	{`::test_custom_mechanism$`, "the mechanism is of its own server"},
	{`::test_NONE$`, "the mechanism is of its own server"},
	{`::test_byclient\[`, "it looks at what its own server was told"},
	{`::test_(plain[12]|login[23])_good`, "it looks at what its own server was told"},
	{`::TestStrictASCII::test_mail_param$`, "SMTPUTF8 is switched on"},
	{`::TestSMTPWithController::test_(mail_with_size_too_large|esmtp_no_size_limit|long_line_leak)$`,
		"the limits are those of its own server"},
	{`::TestSMTPWithController::test_too_long_(message_body|body_delay_error|line_delay_error)$`,
		"the limits are those of its own server"},
	{`::TestSMTPWithController::test_(mail_with_compatible_smtputf8|dots_escaped|bad_encodings)$`,
		"it looks at what its own server was told"},
	{`::TestSMTPWithController::test_(process_message_error|unexpected_errors|exception_handler)`,
		"it looks at how its own server fails"},
}

// TestAiosmtpdTests runs aiosmtpd's own tests of servers on ours.
func TestAiosmtpdTests(t *testing.T) {
	t.Parallel()
	const python = "/usr/bin/python3"
	if out, err := exec.Command(python, "-c", "import pytest, pytest_mock, aiosmtpd.tests").CombinedOutput(); err != nil {
		t.Skipf("there are no tests of aiosmtpd here, or no pytest: %v, %.200s", err, out)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plexor_peer.py"), []byte(aiosmtpdPlugin), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := serve(t, &Server{UTF8: true, PlainAuth: true, Backend: &store{names: []string{"PLAIN", "LOGIN"},
		auth: func(mechanism string) (Exchange, error) {
			check := func(user, password string) error {
				if user != "goodlogin" || password != "goodpasswd" {
					return ErrCredentials
				}
				return nil
			}
			if mechanism == "LOGIN" {
				return LoginServer(func(_ context.Context, user, password string) error { return check(user, password) }), nil
			}
			return PlainServer(func(_ context.Context, _, user, password string) error { return check(user, password) }), nil
		}}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-m", "pytest", "-p", "no:cacheprovider", "-p", "plexor_peer", "-v",
		"--tb=line", "-k", "("+aiosmtpdClasses+") and not test_data_354", "--pyargs", "aiosmtpd.tests.test_smtp")
	cmd.Env = append(os.Environ(), "PEER="+addr, "PYTHONPATH="+dir, "PYTHONDONTWRITEBYTECODE=1")
	cmd.Dir = dir
	out, _ := cmd.CombinedOutput() // it says what failed
	line := regexp.MustCompile(`(?m)^\S*(::\S+::\S+(?: \S+\])?) (PASSED|FAILED|ERROR)\b`)
	passed, left := 0, make(map[string]bool)
	for _, m := range line.FindAllStringSubmatch(string(out), -1) {
		name, why := m[1], ""
		for _, l := range aiosmtpdLeft {
			if regexp.MustCompile(l[0]).MatchString(name) {
				why, left[l[0]] = l[1], true
			}
		}
		switch failed := m[2] != "PASSED"; {
		case failed && why == "":
			t.Errorf("%s failed", name)
		case !failed && why != "":
			t.Errorf("%s passes, though %s", name, why)
		case !failed:
			passed++
		}
	}
	for _, l := range aiosmtpdLeft[1:] {
		if !left[l[0]] {
			t.Errorf("there is no test %s", l[0])
		}
	}
	if passed < 100 {
		t.Errorf("%d passed, want 100 and more", passed)
	}
	if t.Failed() {
		t.Log(strings.ToValidUTF8(string(out), "?"))
	}
}
