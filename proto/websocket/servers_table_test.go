package websocket

import (
	"testing"

	"github.com/plexor-go/plexor/internal/conformance"
)

const (
	ofTheClient = "a client's"
	ofTheCore   = "one code for all servers: the rows of TestRules"
)

// serving are the MUSTs of RFC 6455, sections 4 to 10, that a server has to hold as a whole: each test has them held by
// Sockets on the engine, on each driver, by Sockets under net/http, and by a Conn under net/http.
var serving = []rule{
	{"4.1", "what a client does in the opening handshake", "", ofTheClient},
	{"4.2.1", "1: GET, of HTTP/1.1 or later, with a target", "TestServersHandshake", ""},
	{"4.2.1", "2: Host", "TestServersHandshake", ""},
	{"4.2.1", "3, 4: Upgrade has websocket, Connection has upgrade, in any case", "TestServersHandshake", ""},
	{"4.2.1", "5: the key is 16 bytes in base64", "TestServersHandshake", ""},
	{"4.2.1", "6: version 13", "TestServersHandshake", ""},
	{"4.2.1", "a handshake that is none: it stops, with an error of HTTP", "TestServersHandshake", ""},
	{"4.2.2", "1: TLS first, if it is wss", "", "the listener's, before there is a request"},
	{"4.2.2", "4: another origin: an error of HTTP", "TestServersHandshake", ""},
	{"4.2.2", "4: another version: 426, with those that it has", "TestServersHandshake", ""},
	{"4.2.2", "4: no such service: an error of HTTP", "", "the mux's, which knows the services"},
	{"4.2.2", "4: the subprotocol is one of the client's, or there is no field", "TestServersHandshake", ""},
	{"4.2.2", "4: extensions are of those that the client listed", "TestServersHandshake", ""},
	{"4.2.2", "5: 101, Upgrade, Connection, the accept for the key", "TestServersHandshake", ""},
	{"4.2.2", "5: no data before the handshake is done, none lost that come with it", "TestServersMasks", ""},
	{"4.3", "fields by their grammar, quoted values are tokens", "TestServersHandshake", ""},
	{"4.4", "the field of versions in the answer to another", "TestServersHandshake", ""},
	{"5.1", "it closes at a frame without a mask", "TestServersMasks", ""},
	{"5.1", "it masks none", "TestServersFraming", ""},
	{"5.2", "reserved bits: fail", "TestServersFraming", ""},
	{"5.2", "reserved opcodes: fail", "TestServersFraming", ""},
	{"5.2", "the fewest bytes for a length, each way", "TestServersFraming", ""},
	{"5.3", "masks are taken off", "TestServersFraming", ""},
	{"5.3", "keys are fresh", "", ofTheClient},
	{"5.4", "control frames between fragments, which are answered at once", "TestServersFraming", ""},
	{"5.4", "control frames are not fragmented", "TestServersFraming", ""},
	{"5.4", "fragments in their order, of one message at a time", "TestServersFraming", ""},
	{"5.4", "messages with and without fragments are taken", "TestServersFraming", ""},
	{"5.5", "control frames have 125 bytes at most", "TestServersFraming", ""},
	{"5.5.1", "a close frame's body begins with a code", "TestServersFraming TestServersClose", ""},
	{"5.5.1", "no data behind a close frame", "TestServersClose TestServersFraming", ""},
	{"5.5.1", "a close frame is answered by one", "TestServersFraming", ""},
	{"5.5.1", "after both the server closes the connection at once", "TestServersFraming TestServersClose", ""},
	{"5.5.2", "a ping is answered by a pong, unless a close came", "TestServersFraming TestServersClose", ""},
	{"5.5.3", "a pong has the ping's payload", "TestServersFraming", ""},
	{"5.6", "a text message is UTF-8 as a whole", "TestServersFraming", ""},
	{"5.8", "extensions are agreed on in the handshake", "TestServersHandshake", ""},
	{"6.1", "data are sent on an open connection only, in frames", "TestServersClose TestServersFraming", ""},
	{"6.2", "what comes is read as frames, control frames are handled", "TestServersFraming", ""},
	{"7.1.1", "the server closes the connection first", "TestServersFraming TestServersClose", ""},
	{"7.1.2", "closing begins with a close frame, with a code", "TestServersClose", ""},
	{"7.1.7", "who fails a connection closes it, and takes nothing more", "TestServersMasks TestServersFraming", ""},
	{"7.2.2", "a server that aborts closes", "TestServersMasks", ""},
	{"7.4.1", "1005, 1006 and 1015 are refused, and not sent", "TestServersFraming", ""},
	{"7.4.2", "codes that nobody has defined are refused, 3000 to 4999 are taken", "TestServersFraming", ""},
	{"8.1", "text that is not UTF-8: fail", "TestServersFraming", ""},
	{"9", "no extension that was not asked for", "TestServersHandshake", ""},
	{"9.1", "a field that is not by the grammar: fail at once", "TestServersHandshake", ""},
	{"10.1", "who is no browser is not trusted", "", ofTheCaller},
	{"10.2", "an origin that is not allowed is refused", "TestServersHandshake", ""},
	{"10.3", "masks", "TestServersMasks", ""},
	{"10.4", "limits for frames and messages", "TestServersFraming TestServersBounds", ""},
	{"10.5", "who comes in is the handler's before", "", ofTheCaller},
	{"10.7", "what comes is validated", "TestServersFraming TestServersHandshake", ""},
}

// servingCompressed are those of RFC 7692.
var servingCompressed = []rule{
	{"5", "an answer has the name, and what the server supports", "TestServersHandshake", ""},
	{"5", "a server that declines has no element", "TestServersHandshake", ""},
	{"5.1", "the first of the offers that will do", "TestServersHandshake", ""},
	{"6.1", "compressed messages have RSV1 on their first frame, others not", "TestServersCompressed", ""},
	{"6.1", "RSV1 without an agreement: fail", "TestServersFraming", ""},
	{"6.2", "a message is put together and inflated, whole or in fragments", "TestServersCompressed", ""},
	{"7", "an offer that is wrong is declined", "TestServersHandshake", ""},
	{"7.1.1", "windows are kept or not, as was agreed on, by either side", "TestServersCompressed", ""},
	{"7.1.2", "and are as long as was agreed on", "TestServersCompressed", ""},
	{"7.2.1", "how a message is compressed", "", ofTheCore},
	{"7.2.2", "how a message is inflated", "", ofTheCore},
	{"8", "what it inflates to is bounded", "TestServersBounds", ""},
}

// TestServersRules holds that every rule has a test that is there, or a reason.
func TestServersRules(t *testing.T) {
	table := conformance.New(t)
	for rfc, rules := range map[string][]rule{"RFC 6455": serving, "RFC 7692": servingCompressed} {
		for _, r := range rules {
			table.Row(rfc+", section "+r.section+", "+r.what, r.tests, r.why)
		}
	}
}
