package queue

import (
	"testing"

	"github.com/plexor-go/plexor/internal/conformance"
)

const (
	ofTheClient = "package smtp's"
)

// rules are the MUSTs for who relays mail, which package smtp leaves to this one: section, rule, tests, or why none.
var rules = [...][4]string{
	{"5321 2.1", "a message that was answered with 250 is not lost", "TestKilled TestOpenAgain", ""},
	{"5321 3.6.2", "what can't be delivered is reported to its sender, from <>", "TestReports", ""},
	{"5321 3.6.2", "a report of a report is not sent", "TestReports", ""},
	{"5321 4.4", "Received is put in front", "TestBackend", ""},
	{"5321 4.5.4.1", "what can't be sent is queued, and tried again", "TestRetries TestOpenAgain", ""},
	{"5321 4.5.4.1", "a destination that failed is not tried at once again", "TestRetries", ""},
	{"5321 4.5.4.1", "the times can be chosen", "TestSchedule", ""},
	{"5321 4.5.4.1", "it is given up behind four or five days", "TestReports", ""},
	{"5321 4.5.4.2", "one connection may have many messages", "TestOneConnection", ""},
	{"5321 5.1", "MX first, then the domain itself", "TestRoutes TestDelivers", ""},
	{"5321 5.1", "an error that passes is tried again", "TestReports TestRoutes", ""},
	{"5321 5.1", "a domain that is none is an error", "TestReports", ""},
	{"5321 5.1", "with MX records the domain itself is not tried", "TestRoutes", ""},
	{"5321 5.1", "preferences are kept, and equals shuffled", "TestRoutes", ""},
	{"5321 5.1", "several servers are tried", "TestDelivers", ""},
	{"5321 5.1", "servers that are no better than this one are left out; none left is an error",
		"TestRoutes TestReports", ""},
	{"5321 6.1", "reports go to the sender of the envelope", "TestReports", ""},
	{"5321 6.3", "a message that goes round in a circle is refused", "TestBackend", ""},
	{"3461 5.2.1", "parameters go on to who offers them", "", ofTheClient},
	{"3461 5.2.2", "success that is wanted of a server without DSN: relayed", "TestReports", ""},
	{"3461 5.2.2", "NEVER: no report", "TestReports", ""},
	{"3461 4.1", "no report of delay where NOTIFY is without DELAY", "TestDelay", ""},
	{"3461 4.3", "RET counts for reports of failure alone", "TestDelay", ""},
	{"3461 5.2.5", "reports of delay, where they may be", "TestDelay", ""},
	{"3461 5.2.6", "FAILURE, or nothing: a report", "TestReports", ""},
	{"3461 6.1", "a report is from <>, with NOTIFY=NEVER", "TestReports", ""},
	{"3461 6.3", "its fields", "TestReports TestReportFields", ""},
	{"8689 4.2.1", "REQUIRETLS, or a report with 5.7.10 or 5.7.30", "TestRequireTLS", ""},
	{"8689 5", "the report has it too, and no text of the message", "TestRequireTLS", ""},
}

func TestMusts(t *testing.T) {
	table := conformance.New(t)
	for _, r := range rules {
		table.Row(r[0]+" ("+r[1]+")", r[2], r[3])
	}
}
