package web_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/internal/conformance"
)

// A rule is a MUST of RFC 9112, or of RFC 9110, that a server holds, in the order of the texts.
type rule struct {
	section string
	what    string
	tests   string // their names, with blanks between
	cases   string // of TestSmuggling: what their names begin with, with commas between
	why     string // where there is no test
}

const (
	ofHandlers = "the handler's, who knows the resource"
	ofOthers   = "a client's or an intermediary's"
)

// messaging are the MUSTs of RFC 9112.
var messaging = []rule{
	{"2.2", "a message is a sequence of octets, in a superset of ASCII", "", "value \\x80,target /\u00e9", ""},
	{"2.2", "a bare CR is sent by nobody", "TestNoBareCR", "", ""},
	{"2.2", "a bare CR is invalid, or a space", "", "CR alone behind a field,value a\\rb,coding X: a\\rTransfer", ""},
	{"2.2", "an empty line before a request is taken", "", "an empty line before,an empty line behind a body", ""},
	{"2.2", "white space before the first field: refused", "", "a space before the first field", ""},
	{"2.3", "the version in answers is our own", "TestVersion", "", ""},
	{"3", "414 for a target that is too long", "", "target too long,target without end", ""},
	{"3.2", "400 without Host, with two, with a wrong one", "", "host X: a,host Host: x\\r\\nHost: y,host Host: x y",
		""},
	{"3.2.2", "the host of an absolute target has the say", "TestAbsoluteTarget", "", ""},
	{"3.2.2", "the absolute form is taken", "", "target http://y/", ""},
	{"3.2.3", "CONNECT has host and port", "", "CONNECT x:80,CONNECT /,CONNECT x,CONNECT of a URL", ""},
	{"3.2.4", "* is for OPTIONS", "", "OPTIONS *,target *", ""},
	{"4", "the space behind the status is sent without a reason too", "TestUnknownStatus", "", ""},
	{"5.1", "400 for white space before a colon", "", "name X : a,coding Transfer-Encoding : chunked", ""},
	{"5.2", "no fold is sent", "TestNoBareCR", "", ""},
	{"5.2", "a fold is refused, or is spaces", "", "a fold,a fold by a tab,length Content-Length:\\r\\n 4", ""},
	{"6.1", "chunks are understood", "", "chunk 1\\r\\nZ", ""},
	{"6.1", "chunked is not applied twice, and is the last", "TestCodings", "", ""},
	{"6.1", "no Transfer-Encoding with 1xx and 204, nor for 2xx to CONNECT", "TestNoFraming", "", ""},
	{"6.1", "no Transfer-Encoding to HTTP/1.0", "TestVersion", "", ""},
	{"6.1", "Transfer-Encoding with a Content-Length: the connection ends", "", "CL.TE,TE.CL", ""},
	{"6.1", "Transfer-Encoding of HTTP/1.0 is faulty, and the connection ends", "", "TE of HTTP/1.0", ""},
	{"6.2", "no Content-Length beside a Transfer-Encoding is sent", "TestCodings", "", ""},
	{"6.3", "400 and an end where chunked is not the last", "",
		"coding Transfer-Encoding: gzip,coding Transfer-Encoding: chunked", ""},
	{"6.3", "400 and an end for an invalid Content-Length", "",
		"length Content-Length: +4,length Content-Length: 4e0", ""},
	{"6.3", "a body that is cut off is incomplete", "", "length that never comes", ""},
	{"7.1", "chunks are decoded, and sizes that are too great refused", "", "chunk ffffffffffffffff,chunk 1\\r\\nZ", ""},
	{"7.1.1", "extensions that nobody knows are ignored, and bounded", "", "chunk 1;a,chunk 1;a=b;a=b", ""},
	{"7.1.2", "trailers are not merged into the header", "TestTrailersApart", "", ""},
	{"8", "a request that is cut off is refused or closed", "", "length that never comes", ""},
	{"9.3", "a server that keeps no connection says close", "TestShutdownTells", "behind a close", ""},
	{"9.3", "the body is read, or the connection ends", "TestBackPressure", "", ""},
	{"9.3.2", "answers come in the order of the requests", "", "three", ""},
	{"9.6", "close of the client: the connection ends behind the answer", "", "behind a close", ""},
	{"9.6", "close of the server: likewise, and nothing more is processed", "TestCloseOfHandler", "", ""},
	{"9.7", "HTTP is TLS's application data", "TestSmugglingTLS", "", ""},
	{"9.8", "a closure alert is sent", "TestSmugglingTLS", "", ""},
	{"2.2, 3.2, 6, 7.4, 9.2, 9.6", "what clients, proxies and gateways must", "", "", ofOthers},
	{"10", "message/http and application/http", "", "", ofHandlers},
}

// semantics are those of RFC 9110 that are not a handler's.
var semantics = []rule{
	{"2.5", "a later minor version is read as the latest", "", "version HTTP/1.2", ""},
	{"5.5", "CR, LF and NUL in a value are refused", "", "value a\\x00b,value a\\rb", ""},
	{"5.6.1", "empty elements of lists are taken, where they are harmless", "", "expect nothing", ""},
	{"6.6.1", "there is a Date in 2xx, 3xx and 4xx", "TestVersion", "", ""},
	{"7.6.1", "Upgrade and other fields of the connection are not the handler's to lose", "",
		"upgrade to websocket that nobody takes", ""},
	{"7.8", "a server need not take an Upgrade", "", "upgrade to h2c", ""},
	{"9.1", "GET and HEAD are there", "TestHead", "", ""},
	{"9.3.2", "HEAD has no content", "TestHead", "", ""},
	{"9.3.7", "OPTIONS without content has a Content-Length of 0", "", "OPTIONS *", ""},
	{"10.1.1", "100 is sent, or a final status, when it is expected", "", "expect 100", ""},
	{"10.1.1", "an expectation of HTTP/1.0 is ignored", "", "expect 100 of HTTP/1.0", ""},
	{"10.1.1", "another expectation: 417", "", "expect something else", ""},
	{"15.2", "no 1xx to HTTP/1.0", "TestVersion", "", ""},
	{"15.3.5", "204 has no content, nor a Content-Length", "TestNoFraming", "", ""},
	{"15.4.5", "304 has no content", "TestNoFraming", "", ""},
	{"8 to 15", "what resources must", "", "", ofHandlers},
}

func TestTable(t *testing.T) {
	table := conformance.New(t)
	all := attacks()
	for _, r := range slices.Concat(messaging, semantics) {
		where := r.section + ", " + r.what
		if r.cases == "" || r.tests != "" || r.why != "" {
			table.Row(where, r.tests, r.why)
		}
		if r.cases == "" {
			continue
		}
		for name := range strings.SplitSeq(r.cases, ",") {
			if !slices.ContainsFunc(all, func(a attack) bool { return strings.HasPrefix(a.name, name) }) {
				t.Errorf("%s: no case is called %q", where, name)
			}
		}
	}
}
