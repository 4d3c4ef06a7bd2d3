package gohttp

import "strings"

// clientFiles are those of net/http that are taken for the client.
var clientFiles = []string{"client_test.go", "transport_test.go", "clientserver_test.go", "main_test.go",
	"netconn_test.go", "async_test.go"}

var clientHelpers = map[string][]string{
	"serve_test.go": {"neverEnding", "runTimeSensitiveTest", "noopConn", "rwTestConn", "dummyAddr"},
}

// Why tests of clients are left out.
const (
	inBubble  = "runs in a bubble, on a network of its own that no loop reaches"
	noSuch    = "web.Client has no such option or method: "
	hookWaits = "its hook waits, and those of web.Client are called by coroutines"
	ofPackage = "of another part of package net/http"
)

// clientLeftOut are the tests that do not apply, with the reason, and helpers that are not taken.
var clientLeftOut = map[string]string{
	"TestMain":        "there is one here",
	"goroutineLeaked": "of TestMain",
	"runSynctest":     "there is one here",
	"setParallel":     "there is one here",

	"TestReferer":                                                             ofPackage,
	"TestShouldCopyHeaderOnRedirect":                                          ofPackage,
	"TestIs408":                                                               ofInside,
	"TestTransportRequestReplayable":                                          ofInside,
	"TestProxyFromEnvironment":                                                ofPackage,
	"TestProxyFromEnvironmentLowerCase":                                       ofPackage,
	"TestTransportCloseIdleConnsThenReturn":                                   ofInside,
	"TestTransportTraceGotConnH2IdleConns":                                    ofInside,
	"TestTransportServerClosingUnexpectedly":                                  ofInside,
	"TestTransportHeadChunkedResponse":                                        ofInside,
	"TestTransportMaxConnsPerHostDialCancellation":                            ofInside,
	"TestIdleConnChannelLeak":                                                 ofInside,
	"TestTransportReqCancelerCleanupOnRequestBodyWriteError":                  ofInside,
	"TestCancelRequestWhenSharingConnection":                                  hookWaits,
	"TestTransportIdleConnTimeout":                                            ofInside,
	"TestTransportProxyHTTPSConnectLeak":                                      ofInside,
	"TestTransportIdleConnRacesRequest":                                       inBubble,
	"TestTransportRemovesConnsAfterIdle":                                      inBubble,
	"TestTransportRemovesConnsAfterBroken":                                    inBubble,
	"TestTransportClone":                                                      noSuch + "Clone",
	"TestTransportAltProto":                                                   noSuch + "RegisterProtocol",
	"TestAltProtoCancellation":                                                noSuch + "RegisterProtocol",
	"TestIssue32441":                                                          noSuch + "RegisterProtocol",
	"runCancelTestTransport":                                                  noSuch + "CancelRequest",
	"TestTransportCloseResponseBody":                                          noSuch + "CancelRequest",
	"TestTransportResponseCancelRace":                                         noSuch + "CancelRequest",
	"TestTransportAutomaticHTTP2":                                             ofInside,
	"TestTransportAutomaticHTTP2_DialerAndTLSConfigSupportsHTTP2AndTLSConfig": ofInside,
	"TestTransportAutomaticHTTP2_DefaultTransport":                            ofInside,
	"TestTransportAutomaticHTTP2_TLSNextProto":                                ofInside,
	"TestTransportAutomaticHTTP2_TLSConfig":                                   ofInside,
	"TestTransportAutomaticHTTP2_ExpectContinueTimeout":                       ofInside,
	"TestTransportAutomaticHTTP2_Dial":                                        ofInside,
	"TestTransportAutomaticHTTP2_DialContext":                                 ofInside,
	"TestTransportAutomaticHTTP2_DialTLS":                                     ofInside,
	"TestTransportServerProtocols":                                            noSuch + "TLSNextProto",
	"TestNoCrashReturningTransportAltConn":                                    noSuch + "TLSNextProto",
	"TestTransportDialTLS":                                                    noSuch + "DialTLS",
	"TestTransportDialTLSContext":                                             noSuch + "DialTLS",
	"TestTransportDiscardsUnneededConns":                                      noSuch + "DialTLS",
	"TestIdleConnH2Crash":                                                     noSuch + "DialTLS",
	"TestOnProxyConnectResponse":                                              noSuch + "OnProxyConnectResponse",
	"TestTransportProxyGetConnectHeader":                                      noSuch + "GetProxyConnectHeader",
}

// clientLeft is left for the client.
func clientLeft(name string) bool {
	if strings.HasPrefix(name, "Benchmark") || strings.HasPrefix(name, "benchmark") {
		return true
	}
	if rest, ok := strings.CutPrefix(name, "test"); ok && clientLeftOut["Test"+rest] != "" {
		return true
	}
	return clientLeftOut[name] != "" || name == "testTransportAutoHTTP"
}

// Why tests of clients fail that are run.
const (
	otherWords = "tests the words of an error, or which unexported one it is; ours says the same in others"
	ofRelay    = "a test's own connections are reached through a relay here, which hides how they fail"
	unnamed    = "over HTTP/2 the end by Request.Cancel is net/http's own error, which has no name"
)

var clientExceptions = []exception{
	{"", "TestClientTimeoutCancel/h2", unnamed},
	{"", "TestCancelRequestMidBody/h2", unnamed},
	{"", "TestTransportCancelRequest/h2/RequestCancel", unnamed},
	{"", "TestTransportCancelRequestWithBody/h2/RequestCancel", unnamed},
	{"", "TestTransportUserAgent/h2", "web.Client has one User-Agent for both"},
	{"", "TestWriteHeaderNoCodeCheck/h1", ofTheServer},
	{"", "TestWriteHeaderNoCodeCheck_h1hijack", ofTheServer},
	{"", "TestTransportBodyReadError/h1", otherWords},
	{"", "TestTransportDialPreservesNetOpProxyError", otherWords},
	{"", "TestTransportResponseHeaderTimeout/h1", otherWords},
	{"", "TestTransportNoHost", otherWords},
	{"", "TestTransportTLSHandshakeTimeout", otherWords},
	{"", "TestTransportResponseHeaderLength/h1", otherWords},
	{"", "TestTransportEventTraceTLSVerify/https1", otherWords},
	{"", "TestTransportEventTraceTLSVerify/h2", otherWords},
	{"", "TestMissingStatusNoPanic", otherWords},
	{"", "TestTransportClosesBodyOnInvalidRequests", otherWords},
	{"", "TestTransportRejectsSignInContentLength/h1", otherWords},
	{"", "TestValidateClientRequestTrailers/h1/h10", otherWords},
	{"", "TestValidateClientRequestTrailers/h1/h11", otherWords},
	{"", "TestValidateClientRequestTrailers/h2/h20", otherWords},
	{"", "TestValidateClientRequestTrailers/h2/h21", otherWords},
	{"", "TestTransportReturnsPeekError", ofRelay},
	{"", "TestTransportRequestWriteRoundTrip/h1/file,_length", ofRelay},
	{"", "TestDontCacheBrokenHTTP2Conn/h2", ofRelay},
	{"", "TestRetryRequestsOnError/h1/IdempotentNoBodySomeWritten", "wants a hook called; the retry is made"},
	{"", "TestRetryRequestsOnError/h1/IdempotentGetBodySomeWritten", "wants a hook called; the retry is made"},
	{"", "TestRetryRequestsOnError/h1/NothingWrittenNoBody", "wants a hook called; the retry is made"},
	{"", "TestTransportMaxIdleConns/h1", "which of several hosts' connections rest is not to be seen here; " +
		"web's TestClientIdleBounds has it"},
	{"", "TestTransportPersistConnLeak/h1", "counts goroutines, and coroutines that are kept for reuse are some"},
	{"", "TestTransportExpect100Continue200ResponseNoConnClose", notAsked},
	{"", "TestTransportExpect100Continue500ResponseNoConnClose", notAsked},
	{"", "TestTransportLimits1xxResponses/h1", "answers of status 1xx are bounded by number (http1.Client.Interim)"},
	{"", "TestTransportTreat101Terminal/h1", "RFC 9110 section 15.2.2: 101 that was not asked for is refused"},
	{"", "TestInvalidHeaderResponse/h1", byRFC + ": no space before a colon (section 5.1)"},
}

const (
	ofTheServer = "of the server, which is net/http's own here"
	notAsked    = "the server has answered in place of 100: the body is not sent, and the connection closed, as RFC " +
		"9110 section 10.1.1 allows; net/http sends it"
)

// clientUnsteady are tests that fail at times: for any RoundTripper that is not net/http's own, or by what stands here.
var clientUnsteady = map[string]string{
	"TestTransportFlushesBodyChunks": "counts the pieces that come through the relay, which makes one of two at times",

	"TestClientTimeout/h1": "http.Client says by a timer beside the context's whether its Timeout has passed",
	"TestClientTimeout/h2": "http.Client says by a timer beside the context's whether its Timeout has passed",

	"TestClientTimeout_Headers/h1": "http.Client says by a timer beside the context's whether its Timeout has passed",
	"TestClientTimeout_Headers/h2": "http.Client says by a timer beside the context's whether its Timeout has passed",
}
