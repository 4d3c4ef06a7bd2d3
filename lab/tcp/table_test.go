package tcp

import (
	"testing"

	"github.com/plexor-go/plexor/internal/conformance"
)

// A rule is a row of RFC 9293's appendix B.
type rule struct {
	id    string
	what  string
	tests string // their names, with blanks between
	why   string // where there is no test: whose it is, or for a SHOULD why it is not followed
}

// rules are all MUSTs and SHOULDs.
var rules = []rule{
	{"MUST-1", "Treat as unsigned number", "TestSeq TestShrinkingWindow", ""},
	{"MUST-2", "Sender compute checksum", "TestStream", ""},
	{"MUST-3", "Receiver check checksum", "TestChecksum", ""},
	{"MUST-4", "Support the mandatory option set", "TestMSS", ""},
	{"MUST-5", "Receive TCP Option in any segment", "TestOptionsAnywhere", ""},
	{"MUST-6", "Ignore unsupported options", "TestOptionsAnywhere", ""},
	{"MUST-7", "Cope with illegal option length", "TestIllegalOptionLength", ""},
	{"MUST-8", "Include a clock-driven ISN generator component", "TestISN", ""},
	{"MUST-9", "PRF computable from outside the host", "TestISN", ""},
	{"MUST-10", "Support simultaneous open attempts", "TestSimultaneousOpen", ""},
	{"MUST-11", "SYN-RECEIVED remembers last state", "TestBacklogReturnsToListen", ""},
	{"MUST-12", "Inform application of aborted conn", "TestResetInWindow", ""},
	{"MUST-13", "In TIME-WAIT state for 2MSL seconds", "TestSimultaneousClose", ""},
	{"MUST-14", "Implement sending & receiving MSS Option", "TestOptionsOfSYN TestMSS", ""},
	{"MUST-15", "IPv4 Send-MSS default is 536 / IPv6 Send-MSS default is 1220", "TestMSS", ""},
	{"MUST-16", "Calculate effective send seg size", "TestSegmentSize", ""},
	{"MUST-17", "Application can disable Nagle algorithm", "TestNagle", ""},
	{"MUST-18", "Karn's algorithm", "TestKarn", ""},
	{"MUST-19", "Implement exponential backoff, slow start, and congestion avoidance",
		"TestRetransmission TestSlowStart", ""},
	{"MUST-20", "Negative advice to IP on R1 retransmissions / Close connection on R2 retransmissions",
		"TestUserTimeout TestRetransmission",
		""},
	{"MUST-21", "ALP can set R2", "TestUserTimeout", ""},
	{"MUST-22", "Same mechanism for SYNs", "TestSYNTimeout", ""},
	{"MUST-23", "R2 at least 3 minutes for SYN", "TestSYNTimeout", ""},
	{"MUST-24", "Application can request", "TestKeepAlive", ""},
	{"MUST-25", "Default is off", "TestKeepAlive", ""},
	{"MUST-26", "Only send if idle for interval", "TestKeepAlive", ""},
	{"MUST-27", "Interval configurable", "TestKeepAlive", ""},
	{"MUST-28", "Default at least 2 hrs.", "",
		"the caller's: the limits document it, and a shorter interval is for tests"},
	{"MUST-29", "Tolerant of lost ACKs", "TestKeepAlive", ""},
	{"MUST-30", "Include support for urgent pointer", "TestWriteUrgent TestUrgent", ""},
	{"MUST-31", "Arbitrary length urgent data sequence", "TestUrgent", ""},
	{"MUST-32", "Inform ALP asynchronously of urgent data", "TestUrgent", ""},
	{"MUST-33", "ALP can learn if/how much urgent data Q'd", "TestUrgent", ""},
	{"MUST-34", "Robust against shrinking window", "TestShrinkingWindow TestShrunkToZero", ""},
	{"MUST-35", "Use standard probing logic", "TestShrunkToZero", ""},
	{"MUST-36", "Sender probe zero window", "TestZeroWindow", ""},
	{"MUST-37", "Allow window stay zero indefinitely", "TestZeroWindow", ""},
	{"MUST-38", "Sender SWS- Avoidance Algorithm", "TestNagle TestSillyWindow", ""},
	{"MUST-39", "Receiver SWS- Avoidance Algorithm", "TestZeroWindowOfOurs", ""},
	{"MUST-40", "Delay < 0.5 seconds", "TestDelayedAck", ""},
	{"MUST-41", "Passive OPEN call interfere with others", "TestListeners", ""},
	{"MUST-42", "Function: simultaneously LISTENs for same port", "TestListeners", ""},
	{"MUST-43", "Optional local IP addr param in OPEN", "TestListeners", ""},
	{"MUST-44", "Ask IP for src address for SYN if necessary", "",
		"the caller's: a host chooses the address and gives it to Dial"},
	{"MUST-45", "Otherwise, use local addr of connection", "TestSimultaneousOpen TestHalfClose", ""},
	{"MUST-46", "OPEN to broadcast/ multicast IP address / Reject OPEN call to invalid IP address", "TestGroupAddress",
		""},
	{"MUST-47", "Error Report mechanism", "TestAdvice", ""},
	{"MUST-48", "ALP can specify Diffserv field for sending", "TestTOS", ""},
	{"MUST-49", "Configurable TTL", "", "the host's: the TTL is of the IP header"},
	{"MUST-50", "Ignore options TCP doesn't understand", "TestOptionsAnywhere", ""},
	{"MUST-51", "ALP can specify", "TestSourceRoute", ""},
	{"MUST-52", "Overrides src route in datagram", "TestSourceRoute", ""},
	{"MUST-53", "Build return route from src route", "TestSourceRoute", ""},
	{"MUST-54", "Receiving ICMP messages from IP", "TestAdvice", ""},
	{"MUST-55", "Source Quench => silent discard", "", "the host's: there is no such Advice"},
	{"MUST-56", "Abort on Dest Unreach (0,1,5) / Abort on Time Exceeded / Abort on Param Problem", "TestAdvice", ""},
	{"MUST-57", "Silently discard seg to bcast/mcast addr / Silently discard SYN to bcast/mcast addr",
		"TestGroupAddress", ""},
	{"MUST-58", "Aggregate whenever possible", "TestAckOnce", ""},
	{"MUST-59", "Process all Q'd before send ACK", "TestAckOnce", ""},
	{"MUST-60", "If cannot: sender buffer indefinitely", "TestNagle", ""},
	{"MUST-61", "If cannot: PSH last segment", "TestNagle", ""},
	{"MUST-62", "Pointer indicates first non-urgent octet", "TestUrgent", ""},
	{"MUST-63", "Reject SYN from invalid IP address", "TestGroupAddress", ""},
	{"MUST-64", "Process options regardless of word alignment", "TestOptionsAnywhere", ""},
	{"MUST-65", "MSS not sent on non-SYN segments", "TestMSS", ""},
	{"MUST-66", "Process RST and URG even with zero window", "TestZeroWindowOfOurs", ""},
	{"MUST-67", "MSS value based on MMS_R", "TestOptionsOfSYN", ""},
	{"MUST-68", "Include length for all options except EOL+NOP", "", "wire's: FuzzTCPOptions"},
	{"MUST-69", "Pad with zero", "", "wire's: options are a multiple of 4, padded by NOPs; PadOptions pads with zeros"},
	{"SHLD-1", "Secure ISN generator with a PRF component", "TestISN", ""},
	{"SHLD-2", "RST can contain data", "TestResetWithText", ""},
	{"SHLD-3", "Send RST to indicate data lost", "TestClose", ""},
	{"SHLD-4", "Use Timestamps to reduce TIME-WAIT", "TestTimeWaitAgain", ""},
	{"SHLD-5", "IPv4 Send MSS Option unless 536 / IPv6 Send MSS Option unless 1220", "TestOptionsOfSYN", ""},
	{"SHLD-6", "MSS accounts for varying MTU", "TestPathMTU", ""},
	{"SHLD-7", "Nagle algorithm", "TestNagle", ""},
	{"SHLD-8", "Support ECN", "TestECN TestECNStream", ""},
	{"SHLD-9", "Inform ALP of R1<=retxs<R2", "TestUserTimeout", ""},
	{"SHLD-10", "Recommended value for R1", "TestUserTimeout", ""},
	{"SHLD-11", "Recommended value for R2", "TestRetransmission", ""},
	{"SHLD-12", "Send with no data", "TestKeepAlive", ""},
	{"SHLD-13", "ALP employ the urgent mechanism", "", "for applications"},
	{"SHLD-14", "Shrink window from right", "TestZeroWindowOfOurs", ""},
	{"SHLD-15", "Send new data when window shrinks", "TestShrinkingWindow", ""},
	{"SHLD-16", "Retransmit old unacked data within window", "TestShrunkToZero", ""},
	{"SHLD-17", "Time out conn for data past right edge", "TestShrunkToZero", ""},
	{"SHLD-18", "Delayed ACKs", "TestDelayedAck", ""},
	{"SHLD-19", "Every 2nd full-sized segment or 2*RMSS ACK'd", "TestDelayedAck", ""},
	{"SHLD-20", "ALP can disable Error Report Routine", "", "the caller reads Advised or does not"},
	{"SHLD-21", "ALP can change Diffserv field during connection", "TestTOS", ""},
	{"SHLD-22", "Passed unchanged to IP", "TestTOS", ""},
	{"SHLD-23", "ALP generally changing Diffserv during conn.", "", "for applications"},
	{"SHLD-24", "Later src route overrides", "TestSourceRoute", ""},
	{"SHLD-25", "Dest Unreach (0,1,5) => inform ALP", "TestAdvice", ""},
	{"SHLD-26", "Dest Unreach (2-4) => abort conn", "",
		"not on an open connection: RFC 5927, section 5.2, and Linux; on one that opens, TestAdvice"},
	{"SHLD-27", "Sender collapse successive PSH bits", "TestNagle", ""},
	{"SHLD-28", "Send max size segment when possible", "TestMSS", ""},
	{"SHLD-29", "First probe after RTO", "TestZeroWindow", ""},
	{"SHLD-30", "Exponential backoff", "TestZeroWindow", ""},
	{"SHLD-31", "Queue out-of- order segments", "TestOutOfOrder", ""},
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
	table := conformance.New(t)
	for _, r := range rules {
		table.Row(r.id+" ("+r.what+")", r.tests, r.why)
	}
}
