package ip

import (
	"testing"

	"github.com/plexor-go/plexor/internal/conformance"
)

// rules are the MUSTs of the standards that a host's IP is about, each with the tests that hold it, with blanks
// between, or why there is none.
var rules = []struct{ section, what, tests, why string }{
	{"RFC 1122 2.3.2.1", "ARP entries time out", "TestNeighborStates", ""},
	{"RFC 1122 2.3.2.1", "ARP does not flood: one request a second for a destination", "TestARPQuestions", ""},
	{"RFC 1122 2.3.2.2", "Keep at least one packet for an unresolved destination", "TestARPQuestions", ""},
	{"RFC 1122 3.2.1.1", "Discard other versions", "FuzzHost", ""},
	{"RFC 1122 3.2.1.2", "Verify the header's checksum, discard silently", "TestHeaderChecksum", ""},
	{"RFC 1122 3.2.1.3", "Discard what has an address that cannot be", "TestErrorsNotSent", ""},
	{"RFC 1122 3.2.1.3", "Discard what is for others", "TestNotForThisHost", ""},
	{"RFC 1122 3.2.1.4", "Reassembly", "TestReassembly TestDatagrams", ""},
	{"RFC 1122 3.2.1.5", "Identification differs for each packet", "TestIdentifier", ""},
	{"RFC 1122 3.2.1.7", "TTL: a host does not discard by it, and it can be set", "TestTimeExceeded TestNotForThisHost",
		""},
	{"RFC 1122 3.2.1.8", "Source routes", "TestSourceRoutes", ""},
	{"RFC 1122 3.2.2", "Unknown ICMP types are discarded silently", "TestErrorsNotSent", ""},
	{"RFC 1122 3.2.2", "No errors about errors, groups, later fragments, or from nobody", "TestErrorsNotSent", ""},
	{"RFC 1122 3.2.2", "Errors are told to the transport", "TestPortUnreachable TestUnreachable TestTCP", ""},
	{"RFC 1122 3.2.2.1", "Protocol and port unreachable", "TestPortUnreachable TestExtensions", ""},
	{"RFC 1122 3.2.2.2", "Redirects: a host updates its routes", "",
		"not followed, though a MUST: forged ones are how routes are stolen, and a lab's routers send none"},
	{"RFC 1122 3.2.2.3", "Source quench", "", "RFC 6633 took it away: it is dropped"},
	{"RFC 1122 3.2.2.6", "Echo server, and a client; data is returned whole", "TestEcho", ""},
	{"RFC 1122 3.3.1.1", "Local or by a gateway, by the mask", "TestRoutes", ""},
	{"RFC 1122 3.3.1.4", "Dead gateways are found", "TestNeighborStates TestUnreachable", ""},
	{"RFC 1122 3.3.2", "Reassembly of at least 576 bytes, with a time", "TestDatagrams TestReassemblyTime", ""},
	{"RFC 1122 3.3.2", "Time exceeded if the first fragment has come", "TestReassemblyTime", ""},
	{"RFC 1122 3.3.6", "A broadcast of the link with one host's address is dropped", "TestNotForThisHost", ""},
	{"RFC 1122 4.1.3.1", "Port unreachable", "TestPortUnreachable", ""},
	{"RFC 1122 4.1.3.4", "UDP checksums are made and checked; none is allowed", "TestNoChecksum", ""},
	{"RFC 1812 4.3.2.8", "ICMP errors are limited in rate", "TestErrorFlood", ""},
	{"RFC 1812 5.3.1", "TTL is decremented; time exceeded at 0", "TestForward TestTimeExceeded", ""},
	{"RFC 1812 5.2.6", "Fragmentation, or fragmentation needed with the MTU", "TestForward TestTCP", ""},
	{"RFC 815", "Fragments in any order", "TestReassembly TestSameSeed", ""},
	{"RFC 1191 3", "Smaller packets after fragmentation needed; older routers without the MTU",
		"TestTCP TestAdviceGuessed", ""},
	{"RFC 1191 6.3", "The estimate grows old", "TestForward", ""},
	{"RFC 1858, 3128", "Tiny first fragments of TCP", "TestTinyFragments", ""},
	{"RFC 5722 4", "Overlaps: the datagram and all its fragments are discarded", "TestReassembly", ""},
	{"RFC 5227 2.1.1", "Probes, spread in time; conflicts while probing", "TestConflict", ""},
	{"RFC 5227 2.3", "Announcement", "TestConflict", ""},
	{"RFC 5227 2.4", "Defence at most once in DEFEND_INTERVAL", "TestConflict", ""},
	{"RFC 8200 4.1", "Extension headers in any order", "TestExtensions", ""},
	{"RFC 8200 4.2", "The action of unknown options", "TestExtensions", ""},
	{"RFC 8200 4.5", "Fragments: lengths, overlaps, 60 s, time exceeded", "TestReassembly TestReassemblyTime", ""},
	{"RFC 8200 8.1", "UDP has a checksum", "TestNoChecksum", ""},
	{"RFC 5095 3", "Routing headers of type 0 are not followed", "TestExtensions", ""},
	{"RFC 4443 2.4 (c)", "As much of the packet as fits in 1280 bytes", "TestQuotes", ""},
	{"RFC 4443 2.4 (e)", "No errors about errors, redirects, groups, nobody", "TestErrorsNotSent", ""},
	{"RFC 4443 2.4 (f)", "Errors are limited in rate", "TestErrorFlood", ""},
	{"RFC 4443 3.2", "Packet too big by a router, and told to the transport", "TestForward TestTCP", ""},
	{"RFC 4443 4.1", "Echo", "TestEcho", ""},
	{"RFC 8201 4", "Nobody makes a path less than 1280", "TestLeastPath", ""},
	{"RFC 4861 6.1.2", "Router advertisements: hop limit 255, from a link-local address", "TestRouterAdvertisements", ""},
	{"RFC 4861 6.2", "Routers advertise now and then, and when they are asked", "TestAutoconfiguration", ""},
	{"RFC 4861 6.3.4", "Default routers, parameters and prefixes with lifetimes", "TestAutoconfiguration", ""},
	{"RFC 4861 6.3.7", "At most three router solicitations", "TestNoRouter", ""},
	{"RFC 4861 7.1.1", "Solicitations are validated", "TestSolicitation", ""},
	{"RFC 4861 7.1.2", "Advertisements are validated", "TestAdvertisement", ""},
	{"RFC 4861 7.2.2", "Address resolution: three questions, a bounded queue, then unreachable", "TestUnreachable", ""},
	{"RFC 4861 7.2.3", "Answers", "TestSolicitation", ""},
	{"RFC 4861 7.2.5", "What an advertisement changes", "TestAdvertisement", ""},
	{"RFC 4861 7.3", "Neighbor unreachability detection", "TestNeighborStates", ""},
	{"RFC 4861 8.3", "Redirects", "", "SHOULD; as for IPv4's"},
	{"RFC 4862 5.4", "Duplicate address detection", "TestConflict TestDuplicateAddress", ""},
	{"RFC 4862 5.4.5", "A host whose link-local address is another's stays silent", "TestDuplicateAddress", ""},
	{"RFC 4862 5.5.3", "Addresses from prefixes, lifetimes, two hours", "TestRouterAdvertisements", ""},
	{"RFC 4862 5.5.4", "Deprecated, then gone", "TestAutoconfiguration", ""},
	{"RFC 5942 4", "A prefix is on the link only where a router says so", "TestRouterAdvertisements", ""},
	{"RFC 2131 3.1", "Discover, offer, request, ACK; the number of the exchange", "TestLease TestLeaseGuessed", ""},
	{"RFC 2131 3.1.5", "Decline of an address that is in use, and ten seconds", "TestLeaseDeclined", ""},
	{"RFC 2131 4.1", "Questions become rarer, by chance", "TestLeaseSilence", ""},
	{"RFC 2131 4.4.5", "Renewing at T1, rebinding at T2, and the end", "TestLease", ""},
	{"RFC 2131 4.4.5", "A NAK ends the lease", "TestLeaseRefused", ""},
	{"RFC 2131 4.4.6", "Release", "TestLease", ""},
	{"RFC 1035 4.2.1", "Questions are asked again, of all servers, ever later", "TestLookup", ""},
	{"RFC 1035 4.2.1", "A truncated answer is none", "TestLookup", ""},
	{"RFC 1034 3.6.2", "Aliases are followed, a bounded number", "TestLookup", ""},
	{"RFC 5452 9", "Answers match in address, ports, number and question", "TestLookup TestLookupGuesses", ""},
	{"RFC 2710, 3810", "Reports of groups to multicast routers", "", "a lab's switches hand groups to everybody"},
}

// TestRules holds that each row has a test that is there, or a reason.
func TestRules(t *testing.T) {
	table := conformance.New(t)
	for _, r := range rules {
		table.Row(r.section+" ("+r.what+")", r.tests, r.why)
	}
}
