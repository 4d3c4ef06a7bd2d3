package websocket

import (
	"testing"

	"github.com/plexor-go/plexor/internal/conformance"
)

// A rule is a MUST of RFC 6455 or RFC 7692, in the order of the texts.
type rule struct {
	section string
	what    string
	tests   string // their names, with blanks between
	why     string // where there is no test: whose it is
}

const (
	ofTheCaller       = "the caller's, who makes the connection"
	ofAnIntermediary  = "an intermediary's, and this is an endpoint"
	ofAnotherText     = "for who specifies an extension"
	ofOtherExtensions = "there is no other extension that could be agreed on"
)

// framing are the MUSTs of RFC 6455.
var framing = []rule{
	{"3", "no fragment in an address", "TestRequest", ""},
	{"4.1", "a client opens a connection and sends the handshake", "TestUpgrade", ""},
	{"4.1", "the parts of an address are valid, or the client fails", "TestRequest", ""},
	{"4.1", "one connection to a host at a time is being opened", "", ofTheCaller},
	{"4.1", "the connection is to the host and port of the address", "", ofTheCaller},
	{"4.1", "no connection: fail", "", ofTheCaller},
	{"4.1", "wss is over TLS, with the name of the server", "", ofTheCaller},
	{"4.1", "1: a request of HTTP", "TestRequest", ""},
	{"4.1", "2: GET, and HTTP/1.1", "TestRequest", ""},
	{"4.1", "3: the target is that of the address", "TestRequest", ""},
	{"4.1", "4: Host", "TestRequest", ""},
	{"4.1", "5, 6: Upgrade and Connection", "TestRequest", ""},
	{"4.1", "7: a key of 16 random bytes, another each time", "TestRequest", ""},
	{"4.1", "8: a browser sends Origin", "", "this is none; Options.Header may have one"},
	{"4.1", "9: version 13", "TestRequest", ""},
	{"4.1", "10: subprotocols are different tokens", "TestRequest", ""},
	{"4.1", "the client waits for the answer before it sends data", "TestHandshakeEnds", ""},
	{"4.1", "answer 1: 101", "TestAnswer", ""},
	{"4.1", "answer 2, 3: Upgrade and Connection", "TestAnswer", ""},
	{"4.1", "answer 4: the accept is the one for the key", "TestAnswer", ""},
	{"4.1", "answer 5: no extension that was not asked for", "TestAnswer", ""},
	{"4.1", "answer 6: no subprotocol that was not asked for", "TestAnswer", ""},
	{"4.1", "another answer: fail", "TestAnswer TestHandshakeEnds", ""},
	{"4.2.1", "a server stops at a request that is none", "TestOffer TestHandshakeEnds", ""},
	{"4.2.2", "TLS first, if it is wss", "", ofTheCaller},
	{"4.2.2", "another origin: an error of HTTP", "TestOrigin TestHandshakeEnds", ""},
	{"4.2.2", "another version: 426 with the versions that it has", "TestOffer TestRefusal", ""},
	{"4.2.2", "no such service: an error of HTTP", "", "the caller's, who knows the services"},
	{"4.2.2", "the subprotocol is one of the client's, or there is no field", "TestAccept", ""},
	{"4.2.2", "extensions are of those that the client listed", "TestServerNegotiates", ""},
	{"4.2.2", "the answer", "TestAccept", ""},
	{"4.3", "a quoted value is a token", "TestExtensionsGrammar", ""},
	{"4.4", "the field of versions in the answer to another", "TestRefusal", ""},
	{"5.1", "a client masks all frames", "TestFreshKeys TestMessages", ""},
	{"5.1", "a server closes at a frame without a mask", "TestUnmasked", ""},
	{"5.1", "a server masks none", "TestFreshKeys TestEcho", ""},
	{"5.1", "a client closes at a frame with a mask", "TestRefusedEarly", ""},
	{"5.2", "reserved bits", "TestParser TestRefusedEarly", ""},
	{"5.2", "reserved opcodes", "TestParser TestRefusedEarly", ""},
	{"5.2", "the highest bit of a length is 0", "TestRefusedEarly", ""},
	{"5.2", "the fewest bytes for a length", "TestRefusedEarly TestExamples", ""},
	{"5.2", "an extension says how long its data are", "", ofAnotherText},
	{"5.2", "and is agreed on in the handshake", "TestRSV1", ""},
	{"5.3", "a mask: the bit, and a key", "TestExamples TestMask", ""},
	{"5.3", "the key is fresh and unpredictable", "TestFreshKeys", ""},
	{"5.4", "control frames between fragments", "TestControlBetween TestParser", ""},
	{"5.4", "control frames are not fragmented", "TestParser TestRefusedEarly", ""},
	{"5.4", "fragments arrive in their order", "TestMessages", ""},
	{"5.4", "those of two messages are not mixed", "TestParser TestWriters", ""},
	{"5.4", "control frames are handled in the midst of a message", "TestControlBetween TestEcho", ""},
	{"5.4", "messages with and without fragments are taken", "TestParser", ""},
	{"5.4", "intermediaries leave fragments as they are", "", ofAnIntermediary},
	{"5.4", "all fragments are of the type of the first", "TestParser", ""},
	{"5.5", "control frames have 125 bytes at most", "TestParser TestAppendClose", ""},
	{"5.5.1", "a close frame's body begins with a code", "TestAppendClose TestParser", ""},
	{"5.5.1", "a reason is not shown to users", "", ofTheCaller},
	{"5.5.1", "no data behind a close frame", "TestCloseWaits", ""},
	{"5.5.1", "a close frame is answered by one", "TestEcho", ""},
	{"5.5.1", "after both the connection is closed, by the server at once", "TestEcho TestMessages", ""},
	{"5.5.2", "a ping is answered by a pong, unless a close came", "TestEcho", ""},
	{"5.5.3", "a pong has the ping's payload; of the latest, if several", "TestEcho TestPingFlood", ""},
	{"5.6", "a text message is UTF-8 as a whole", "TestParser FuzzText", ""},
	{"5.8", "extensions are agreed on in the handshake", "TestRSV1", ""},
	{"6.1", "1: data are sent on an open connection only", "TestCloseWaits", ""},
	{"6.1", "2 to 4: in frames, with opcode and FIN", "TestExamples TestMessages", ""},
	{"6.1", "5: masked, if by a client", "TestFreshKeys", ""},
	{"6.1", "7: the frames are sent", "TestMessages", ""},
	{"6.2", "what comes is read as frames, control frames are handled", "TestParser TestEcho", ""},
	{"6.2", "a frame's type is noted, and the next message is another", "TestParser", ""},
	{"6.2", "a server takes the mask off", "TestExamples", ""},
	{"7.1.2", "closing begins with a close frame", "TestCloseWaits", ""},
	{"7.1.7", "who fails a connection closes it, and takes nothing more", "TestEcho TestRefusedEarly TestBehindClose", ""},
	{"7.2.1", "a client that can't open fails", "TestHandshakeEnds", ""},
	{"7.2.1", "a connection that is lost is failed", "TestCloseWaits TestOneReader", ""},
	{"7.2.2", "a server that aborts closes", "TestHandshakeEnds", ""},
	{"7.4.1", "1005, 1006 and 1015 are not sent, and refused", "TestAppendClose TestParser", ""},
	{"8.1", "text that is not UTF-8: fail", "TestParser TestEcho", ""},
	{"9", "no extension in an answer that was not asked for, its parameters chosen by the rules",
		"TestServerNegotiates", ""},
	{"9.1", "a field that is not by the grammar: fail at once", "TestExtensionsGrammar TestOffer TestAnswer", ""},
	{"9.1", "a quoted value is a token", "TestExtensionsGrammar", ""},
	{"9.1", "names and parameters are registered, and used only if the server has accepted", "TestOfferAsks TestRSV1", ""},
	{"10.3", "a new key for each frame", "TestFreshKeys", ""},
	{"10.4", "limits for frames and messages", "TestMessageLimit TestFrameLimit", ""},
	{"10.6", "TLS is supported", "", ofTheCaller},
	{"10.7", "what comes is validated by both sides", "TestParser TestOffer TestAnswer", ""},
	{"11.1", "names in addresses are ASCII", "TestRequest", ""},
	{"11.3", "fields that may be there once", "TestOffer TestAnswer", ""},
}

// compression are the MUSTs of RFC 7692.
var compression = []rule{
	{"5", "a PMCE defines its parameters", "", ofAnotherText},
	{"5", "an offer has the name of the extension", "TestOfferAsks", ""},
	{"5", "a client tells a server of its window", "TestOfferAsks", ""},
	{"5", "an answer has the name, and what the server supports", "TestServerNegotiates", ""},
	{"5", "not together with an extension that conflicts", "", ofOtherExtensions},
	{"5", "a client fails where it is", "TestAnswer", ""},
	{"5", "a server that declines has no element", "TestServerNegotiates", ""},
	{"5", "a client fails at what it did not offer", "TestAnswer", ""},
	{"5", "both sides go by what was agreed on", "TestMessages TestTakeover", ""},
	{"6.1", "compressed messages: RSV1 on the first frame", "TestComposer TestMessages", ""},
	{"6.1", "others: not", "TestComposer", ""},
	{"6.1", "not on control frames and later fragments: fail", "TestRSV1 TestMessages", ""},
	{"6.2", "a message is put together and inflated", "TestDeflateExamples", ""},
	{"6.2", "one that is not compressed is taken as it is", "TestDeflateExamples", ""},
	{"7", "a server declines an offer that is wrong in four ways", "TestServerNegotiates", ""},
	{"7", "a client fails at an answer that is wrong in four ways", "TestClientNegotiates", ""},
	{"7.1.1.2", "a client supports client_no_context_takeover", "TestClientNegotiates", ""},
	{"7.1.2.1", "server_max_window_bits is 8 to 15", "TestServerNegotiates TestClientNegotiates", ""},
	{"7.1.2.2", "client_max_window_bits is 8 to 15, or bare in an offer", "TestServerNegotiates TestClientNegotiates", ""},
	{"7.1.2.2", "and in an answer only if it was in the offer", "TestServerNegotiates", ""},
	{"7.2.1", "a last block is padded to a byte", "TestDeflateExamples", ""},
	{"7.2.1", "only the last fragment loses 00 00 ff ff", "TestTakeover", ""},
	{"7.2.1", "no window of more than 32 KiB", "TestWindowBits", ""},
	{"7.2.1", "an empty window for each message, if that was agreed on", "TestTakeover TestPreparedOnce", ""},
	{"7.2.1", "no longer window than was agreed on", "TestWindowBits", ""},
	{"7.2.2", "the last window, unless something else was agreed on", "TestDeflateExamples TestTakeover", ""},
	{"7.2.2", "a window of 32 KiB, unless a smaller one was agreed on", "TestTakeover", ""},
}

// TestRules holds that every rule has a test that is there, or a reason.
func TestRules(t *testing.T) {
	table := conformance.New(t)
	for rfc, rules := range map[string][]rule{"RFC 6455": framing, "RFC 7692": compression} {
		for _, r := range rules {
			table.Row(rfc+", section "+r.section+", "+r.what, r.tests, r.why)
		}
	}
}
