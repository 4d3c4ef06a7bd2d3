package http1

import (
	"testing"

	"github.com/plexor-go/plexor/internal/conformance"
)

// A clientRule is a MUST that a client has to keep, in the order of the texts.
type clientRule struct {
	section string
	what    string
	tests   string // their names, with blanks between
	why     string // where there is no test: whose it is
}

const (
	callersRule = "the caller's, who knows what the fields mean"
	dialersRule = "who makes the connection has to see to it"
)

// clientFramings are those of RFC 9112.
var clientFramings = []clientRule{
	{"2.2", "a message is parsed as octets", "TestClientEnds FuzzClientResponse", ""},
	{"2.2", "no bare CR is sent", "TestClientSmuggles", ""},
	{"2.2", "a bare CR that comes is an error", "TestClientRefuses", ""},
	{"2.2", "no line end before or behind a request", "TestClientRequests", ""},
	{"2.2", "no white space between the first line and the fields", "TestClientRequests TestClientSmuggles", ""},
	{"3.2", "Host, with the host of the target, in each request", "TestClientRequests", ""},
	{"3.2", "no authority: an empty Host", "",
		"a request without a host has nowhere to go, and is refused: TestClientSmuggles"},
	{"3.2.1", "an empty path is /", "TestClientRequests", ""},
	{"3.2.2", "to a proxy, the whole URL, and Host all the same", "TestClientAbsolute", ""},
	{"3.2.3", "CONNECT: host and port alone", "TestClientRequests", ""},
	{"3.2.4", "OPTIONS of a whole server: *", "TestClientRequests", ""},
	{"5.2", "no folded lines are sent", "TestClientSmuggles", ""},
	{"5.2", "a folded line that comes: replaced or refused", "TestClientRefuses", ""},
	{"6.1", "chunked is understood", "TestClientEnds TestClientExchanges", ""},
	{"6.1", "chunked is not applied twice, and comes last", "TestClientRequests TestClientSmuggles", ""},
	{"6.1", "no Transfer-Encoding to a server of which HTTP/1.1 is not known", "",
		"the version is known from the answer alone; a body of unknown length is chunked, as everywhere"},
	{"6.2", "no Content-Length beside a Transfer-Encoding", "TestClientRequests", ""},
	{"6.3", "1: HEAD, 1xx, 204 and 304 end behind the head", "TestClientEnds", ""},
	{"6.3", "2: the fields of framing in a 2xx to CONNECT are ignored", "TestClientUpgrade", ""},
	{"6.3", "3: both fields", "TestClientRefuses", ""},
	{"6.3", "4: chunked ends the body; behind another coding it ends with the connection",
		"TestClientEnds TestClientRefuses", ""},
	{"6.3", "5: a length that is none: the connection is closed, the answer discarded", "TestClientRefuses", ""},
	{"6.3", "6: fewer bytes than the length: incomplete, and the connection is closed", "TestClientRefuses", ""},
	{"6.3", "8: neither field: up to the close", "TestClientEnds", ""},
	{"6.3", "what comes behind the last answer is not taken for one", "TestClientEnds", ""},
	{"7.1", "chunks are read", "TestClientEnds FuzzClientResponse", ""},
	{"7.1", "large sizes do not overflow", "TestClientRefuses", ""},
	{"7.1.1", "extensions that are not known are ignored", "TestClientEnds", ""},
	{"7.1.2", "trailers are not merged into the head", "TestClientExchanges TestClientRefuses", ""},
	{"7.4", "no chunked in TE", "TestClientSmuggles", ""},
	{"7.4", "TE is listed in Connection", "", callersRule},
	{"8", "an incomplete answer is known to be", "TestClientRefuses", ""},
	{"9.2", "an answer that nobody waits for is none", "TestClientEnds", ""},
	{"9.3", "all of the body is read before the connection is used again", "TestClientClose", ""},
	{"9.3", "no second request where the answer says close, or is HTTP/1.0 without keep-alive", "TestClientEnds", ""},
	{"9.3.2", "after a connection that failed no pipelining at once", "", "it does not pipeline"},
	{"9.5", "a connection that is closed while a request is sent is noticed", "TestClientEarlyAnswer", ""},
	{"9.6", "behind close nothing is sent", "TestClientEnds", ""},
	{"9.6", "a client that sends close sends nothing behind that request", "TestClientLast", ""},
	{"9.8", "over TLS: an end without close_notify is incomplete", "", dialersRule},
}

// clientSemantics are those of RFC 9110 that are about messages, and not about what they mean.
var clientSemantics = []clientRule{
	{"2.2", "no elements that do not match the grammar", "TestClientSmuggles FuzzClientRequest", ""},
	{"2.5", "a version that it conforms to", "TestClientRequests", ""},
	{"4.2.1", "no empty host", "TestClientSmuggles", ""},
	{"4.2.4", "no userinfo in a target", "TestClientRequests", ""},
	{"4.3.3", "https: over TLS, and the certificate is verified", "", dialersRule},
	{"5.3", "one field line a name, unless it is a list", "", callersRule},
	{"5.5", "no CR, LF and NUL in values", "TestClientSmuggles TestClientRefuses", ""},
	{"6.5.1", "no trailers that frame, route or authenticate", "TestClientSmuggles TestClientRefuses", ""},
	{"7.2", "Host in each request", "TestClientRequests", ""},
	{"7.5", "an answer while the request is still sent", "TestClientEarlyAnswer", ""},
	{"7.6.1", "Connection lists the fields of this connection alone", "", callersRule},
	{"7.8", "a server changes to what was asked for alone", "TestClientRefuses", ""},
	{"8.6", "large lengths do not overflow", "TestClientRefuses", ""},
	{"9.3.6", "CONNECT: the port too", "TestClientRequests", ""},
	{"9.3.6", "CONNECT: Content-Length and Transfer-Encoding of a 2xx are ignored", "TestClientUpgrade", ""},
	{"9.3.7", "OPTIONS with content has a Content-Type", "", callersRule},
	{"9.3.8", "TRACE has no content", "TestClientSmuggles", ""},
	{"10.1.1", "no 100-continue without content", "TestClientRequests", ""},
	{"10.1.1", "the content comes behind a 100, or after a time", "TestClientTimes TestClientTrace", ""},
	{"10.1.1", "and not behind a final answer", "TestClientTimes", ""},
	{"15", "an unknown status is as x00 of its class", "TestClientEnds", ""},
	{"15.2", "any 1xx before the final answer, asked for or not", "TestClientEnds TestClientTrace", ""},
	{"15.2.2", "101 comes with an Upgrade that was asked for", "TestClientUpgrade TestClientRefuses", ""},
}

// TestClientRules holds that every rule has a test that is there, or a reason.
func TestClientRules(t *testing.T) {
	table := conformance.New(t)
	for rfc, rules := range map[string][]clientRule{"RFC 9112": clientFramings, "RFC 9110": clientSemantics} {
		for _, r := range rules {
			table.Row(rfc+", section "+r.section+", "+r.what, r.tests, r.why)
		}
	}
}
