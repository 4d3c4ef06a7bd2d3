package tcp_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/internal/conformance"
)

// A rule is a row of RFC 9293's appendix B.
type rule struct {
	id    string
	what  string
	tests string // their names, with blanks between; a script's where that holds all
	why   string // where there is no test: whose it is, or for a SHOULD why it is not followed
	both  string // the scripts that hold it against this TCP and the kernel's; or "no: " and why there is none
}

// rules are all MUSTs and SHOULDs.
var rules = []rule{
	{"MUST-1", "Treat as unsigned number", "TestSeq bothShrinkingWindow", "", "bothSlowStart"},
	{"MUST-2", "Sender compute checksum", "TestStream", "", "bothClose"},
	{"MUST-3", "Receiver check checksum", "TestChecksum", "", "bothChecksum"},
	{"MUST-4", "Support the mandatory option set", "TestMSS", "", "bothMSS"},
	{"MUST-5", "Receive TCP Option in any segment", "bothOptionsAnywhere", "", "bothOptionsAnywhere"},
	{"MUST-6", "Ignore unsupported options", "bothOptionsAnywhere", "", "bothOptionsAnywhere"},
	{"MUST-7", "Cope with illegal option length", "TestIllegalOptionLength", "", "bothIllegalOption"},
	{"MUST-8", "Include a clock-driven ISN generator component", "TestISN", "", "bothISN"},
	{"MUST-9", "PRF computable from outside the host", "TestISN", "", "bothOthersISN"},
	{"MUST-10", "Support simultaneous open attempts", "bothSimultaneousOpen", "", "bothSimultaneousOpen"},
	{"MUST-11", "SYN-RECEIVED remembers last state", "TestBacklogReturnsToListen", "", "bothReturnsToListen"},
	{"MUST-12", "Inform application of aborted conn", "TestResetInWindow", "", "bothResetInWindow"},
	{"MUST-13", "In TIME-WAIT state for 2MSL seconds", "TestSimultaneousClose", "", "bothTimeWait"},
	{"MUST-14", "Implement sending & receiving MSS Option", "TestOptionsOfSYN TestMSS", "", "bothOptionsOfSYN"},
	{"MUST-15", "IPv4 Send-MSS default is 536 / IPv6 Send-MSS default is 1220", "TestMSS", "", "bothMSSDefault"},
	{"MUST-16", "Calculate effective send seg size", "bothSegmentSize", "", "bothSegmentSize"},
	{"MUST-17", "Application can disable Nagle algorithm", "TestNagle", "", "bothNagle"},
	{"MUST-18", "Karn's algorithm", "TestKarn", "", "bothKarn"},
	{"MUST-19", "Implement exponential backoff, slow start, and congestion avoidance",
		"TestRetransmission TestSlowStart", "", "bothRetransmission bothSlowStart bothSlowStartAtOnce"},
	{"MUST-20", "Negative advice to IP on R1 retransmissions / Close connection on R2 retransmissions",
		"TestUserTimeout TestRetransmission",
		"", "bothUserTimeout"},
	{"MUST-21", "ALP can set R2", "TestUserTimeout", "", "bothUserTimeout"},
	{"MUST-22", "Same mechanism for SYNs", "TestSYNTimeout", "", "bothSYNAgain"},
	{"MUST-23", "R2 at least 3 minutes for SYN", "TestSYNTimeout", "", "bothGivesUpSYN"},
	{"MUST-24", "Application can request", "TestKeepAlive", "", "bothKeepAlive"},
	{"MUST-25", "Default is off", "TestKeepAlive", "", "bothKeepAliveOff"},
	{"MUST-26", "Only send if idle for interval", "TestKeepAlive", "", "bothKeepAlive"},
	{"MUST-27", "Interval configurable", "TestKeepAlive", "", "bothKeepAlive"},
	{"MUST-28", "Default at least 2 hrs.", "bothKeepAliveDefault", "", "bothKeepAliveDefault"},
	{"MUST-29", "Tolerant of lost ACKs", "TestKeepAlive", "", "bothKeepAlive"},
	{"MUST-30", "Include support for urgent pointer", "TestWriteUrgent TestUrgent", "", "bothWriteUrgent bothUrgent"},
	{"MUST-31", "Arbitrary length urgent data sequence", "TestUrgent", "", "bothUrgent"},
	{"MUST-32", "Inform ALP asynchronously of urgent data", "TestUrgent", "", "bothUrgent"},
	{"MUST-33", "ALP can learn if/how much urgent data Q'd", "TestUrgent", "", "bothUrgentLeft"},
	{"MUST-34", "Robust against shrinking window", "bothShrinkingWindow TestShrunkToZero", "",
		"bothShrinkingWindow bothShrunkToZero bothShrunkAck"},
	{"MUST-35", "Use standard probing logic", "TestShrunkToZero", "", "bothShrunkToZero"},
	{"MUST-36", "Sender probe zero window", "TestZeroWindow", "", "bothZeroWindow"},
	{"MUST-37", "Allow window stay zero indefinitely", "TestZeroWindow", "", "bothZeroWindow"},
	{"MUST-38", "Sender SWS- Avoidance Algorithm", "TestNagle TestSillyWindow", "", "bothNagle"},
	{"MUST-39", "Receiver SWS- Avoidance Algorithm", "TestZeroWindowOfOurs", "", "bothWindowOfOurs"},
	{"MUST-40", "Delay < 0.5 seconds", "TestDelayedAck", "", "bothDelayedAck"},
	{"MUST-41", "Passive OPEN call interfere with others", "TestListeners", "", "bothListeners"},
	{"MUST-42", "Function: simultaneously LISTENs for same port", "TestListeners", "",
		"bothListenWhileOpening"},
	{"MUST-43", "Optional local IP addr param in OPEN", "TestListeners", "", "bothLocalAddress"},
	{"MUST-44", "Ask IP for src address for SYN if necessary", "bothSourceAddress", "",
		"bothSourceAddress"},
	{"MUST-45", "Otherwise, use local addr of connection", "bothSimultaneousOpen bothHalfClose", "",
		"bothSourceOfSYN bothSourceAddress"},
	{"MUST-46", "OPEN to broadcast/ multicast IP address / Reject OPEN call to invalid IP address", "TestGroupAddress",
		"", "bothDialGroup"},
	{"MUST-47", "Error Report mechanism", "TestAdvice", "", "bothAdviceTold"},
	{"MUST-48", "ALP can specify Diffserv field for sending", "TestTOS", "", "bothTOS"},
	{"MUST-49", "Configurable TTL", "bothTTL", "", "bothTTL"},
	{"MUST-50", "Ignore options TCP doesn't understand", "bothOptionsAnywhere", "", "bothOptionsAnywhere"},
	{"MUST-51", "ALP can specify", "TestSourceRoute", "", "bothRouteGiven"},
	{"MUST-52", "Overrides src route in datagram", "TestSourceRoute", "", "bothRouteGiven"},
	{"MUST-53", "Build return route from src route", "TestSourceRoute", "", "bothRouteBack"},
	{"MUST-54", "Receiving ICMP messages from IP", "TestAdvice", "", "bothPathMTU"},
	{"MUST-55", "Source Quench => silent discard", "", "the host's: there is no such Advice", "bothAdvice"},
	{"MUST-56", "Abort on Dest Unreach (0,1,5) / Abort on Time Exceeded / Abort on Param Problem", "TestAdvice", "",
		"bothAdvice"},
	{"MUST-57", "Silently discard seg to bcast/mcast addr / Silently discard SYN to bcast/mcast addr",
		"TestGroupAddress", "", "bothGroupAddress"},
	{"MUST-58", "Aggregate whenever possible", "TestAckOnce", "",
		"no: a TAP device hands over one at a time, and the kernel is done with each before it takes the next"},
	{"MUST-59", "Process all Q'd before send ACK", "TestAckOnce", "",
		"no: a TAP device hands over one at a time, and the kernel is done with each before it takes the next"},
	{"MUST-60", "If cannot: sender buffer indefinitely", "TestNagle", "", "bothNagle"},
	{"MUST-61", "If cannot: PSH last segment", "TestNagle", "", "bothPush"},
	{"MUST-62", "Pointer indicates first non-urgent octet", "TestUrgent", "", "bothWriteUrgent"},
	{"MUST-63", "Reject SYN from invalid IP address", "TestGroupAddress", "", "bothGroupAddress"},
	{"MUST-64", "Process options regardless of word alignment", "bothOptionsAnywhere", "", "bothOptionsAnywhere"},
	{"MUST-65", "MSS not sent on non-SYN segments", "TestMSS", "", "bothMSS"},
	{"MUST-66", "Process RST and URG even with zero window", "TestZeroWindowOfOurs", "", "bothWindowOfOurs"},
	{"MUST-67", "MSS value based on MMS_R", "TestOptionsOfSYN", "", "bothOptionsOfSYN"},
	{"MUST-68", "Include length for all options except EOL+NOP", "bothOptionsWellFormed", "", "bothOptionsWellFormed"},
	{"MUST-69", "Pad with zero", "bothOptionsWellFormed", "", "bothOptionsWellFormed"},
	{"SHLD-1", "Secure ISN generator with a PRF component", "TestISN", "", "bothOthersISN"},
	{"SHLD-2", "RST can contain data", "bothResetWithText", "", "bothResetWithText"},
	{"SHLD-3", "Send RST to indicate data lost", "TestClose", "", "bothCloseUnread bothCloseBeforeText"},
	{"SHLD-4", "Use Timestamps to reduce TIME-WAIT", "TestTimeWaitAgain", "", "bothTimeWaitStamp"},
	{"SHLD-5", "IPv4 Send MSS Option unless 536 / IPv6 Send MSS Option unless 1220", "TestOptionsOfSYN", "",
		"bothOptionsOfSYN"},
	{"SHLD-6", "MSS accounts for varying MTU", "TestPathMTU", "", "bothPathMTU"},
	{"SHLD-7", "Nagle algorithm", "TestNagle", "", "bothNagle"},
	{"SHLD-8", "Support ECN", "TestECN TestECNStream", "", "bothECNAccept bothECNDial"},
	{"SHLD-9", "Inform ALP of R1<=retxs<R2", "TestUserTimeout", "", "bothStalled"},
	{"SHLD-10", "Recommended value for R1", "TestUserTimeout", "", "bothStalled"},
	{"SHLD-11", "Recommended value for R2", "TestRetransmission", "", "bothGoesOn"},
	{"SHLD-12", "Send with no data", "TestKeepAlive", "", "bothKeepAlive"},
	{"SHLD-13", "ALP employ the urgent mechanism", "", "for applications", "no: it is for applications"},
	{"SHLD-14", "Shrink window from right", "TestZeroWindowOfOurs", "", "bothWindowOfOurs"},
	{"SHLD-15", "Send new data when window shrinks", "bothShrinkingWindow", "", "bothShrinkingWindow"},
	{"SHLD-16", "Retransmit old unacked data within window", "TestShrunkToZero", "", "bothShrunkToZero"},
	{"SHLD-17", "Time out conn for data past right edge", "TestShrunkToZero", "", "bothShrunkToZero"},
	{"SHLD-18", "Delayed ACKs", "TestDelayedAck", "", "bothDelayedAck"},
	{"SHLD-19", "Every 2nd full-sized segment or 2*RMSS ACK'd", "TestDelayedAck", "", "bothDelayedAck"},
	{"SHLD-20", "ALP can disable Error Report Routine", "bothAdvice", "", "bothAdvice"},
	{"SHLD-21", "ALP can change Diffserv field during connection", "TestTOS", "", "bothTOS"},
	{"SHLD-22", "Passed unchanged to IP", "TestTOS", "", "bothTOS"},
	{"SHLD-23", "ALP generally changing Diffserv during conn.", "", "for applications",
		"no: it is for applications"},
	{"SHLD-24", "Later src route overrides", "TestSourceRoute", "", "bothRouteBack"},
	{"SHLD-25", "Dest Unreach (0,1,5) => inform ALP", "TestAdvice", "", "bothAdviceTold"},
	{"SHLD-26", "Dest Unreach (2-4) => abort conn", "",
		"not on an open connection: RFC 5927, section 5.2, and Linux; on one that opens, TestAdvice", "bothAdvice"},
	{"SHLD-27", "Sender collapse successive PSH bits", "TestNagle", "", "bothPush"},
	{"SHLD-28", "Send max size segment when possible", "TestMSS", "", "bothMSS"},
	{"SHLD-29", "First probe after RTO", "TestZeroWindow", "", "bothZeroWindow"},
	{"SHLD-30", "Exponential backoff", "TestZeroWindow", "", "bothZeroWindow"},
	{"SHLD-31", "Queue out-of- order segments", "bothOutOfOrder", "", "bothOutOfOrder"},
}

// TestRules holds that every MUST and SHOULD has a row, and every row a test that is there, or a reason.
func TestRules(t *testing.T) {
	n := 0
	for kind, last := range map[string]int{"MUST-": 69, "SHLD-": 31} {
		for i := 1; i <= last; i++ {
			found := false
			for _, r := range rules {
				found = found || r.id == kind+itoa(i)
			}
			if !found {
				t.Errorf("%s%d has no row", kind, i)
			}
			n++
		}
	}
	if len(rules) != n {
		t.Errorf("%d rows, want %d", len(rules), n)
	}
	isScript := func(name string) bool {
		return slices.ContainsFunc(scripts, func(b both) bool { return b.name == name })
	}
	table := conformance.New(t)
	for _, r := range rules {
		where := r.id + " (" + r.what + ")"
		table.Row(where, r.tests, r.why)
		if why, no := strings.CutPrefix(r.both, "no: "); no {
			table.Row(where+", both judges", "", why)
		} else {
			table.Row(where+", both judges", r.both, "")
			for name := range strings.FieldsSeq(r.both) {
				if !isScript(name) {
					t.Errorf("%s: %s is no script", where, name)
				}
			}
		}
	}
}
