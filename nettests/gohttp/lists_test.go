package gohttp

import "strings"

// files are those of net/http that are taken whole, but for what is left out.
var files = []string{"serve_test.go", "clientserver_test.go", "responsecontroller_test.go", "fs_test.go",
	"main_test.go", "netconn_test.go", "async_test.go"}

// helpers are those of which these functions and types alone are taken.
var helpers = map[string][]string{
	"transport_test.go": {"wgReadCloser", "wantBody", "newLocalListener", "countCloseReader"},
}

// Why tests are left out.
const (
	ofInside    = "looks at what package net/http has inside"
	ofTheClient = "of net/http's client"
	ofTheListen = "of http.Server's listening"
)

// leftOut are the tests that do not apply, with the reason, and helpers that are not taken.
var leftOut = map[string]string{
	"TestMain":        "there is one here",
	"goroutineLeaked": "of TestMain",
	"setParallel":     "there is one here",

	"TestCancelRequestMidBody":                             ofTheClient,
	"TestServerFileStatError":                              ofInside,
	"TestScanETag":                                         ofInside,
	"TestLinuxSendfile":                                    "runs strace on a child of its own that is net/http",
	"TestLinuxSendfileChild":                               "is that child",
	"TestServeTLS":                                         ofTheListen,
	"TestAutomaticHTTP2_Serve":                             ofTheListen,
	"TestAutomaticHTTP2_Serve_NoTLSConfig":                 ofTheListen,
	"TestAutomaticHTTP2_Serve_NonH2TLSConfig":              ofTheListen,
	"TestAutomaticHTTP2_Serve_H2TLSConfig":                 ofTheListen,
	"TestAutomaticHTTP2_Serve_WithTLSConfig":               ofTheListen,
	"TestAutomaticHTTP2_ListenAndServe":                    ofTheListen,
	"TestAutomaticHTTP2_ListenAndServe_GetCertificate":     ofTheListen,
	"TestAutomaticHTTP2_ListenAndServe_GetConfigForClient": ofTheListen,
	"TestServerTLSNextProtos":                              ofTheListen,
	"TestTimeoutHandler":                                   ofInside,
	"TestTimeoutHandlerRaceHeaderTimeout":                  ofInside,
	"TestTimeoutHandlerContextCanceled":                    ofInside,
	"TestOptionsHandler":                                   "of http.Server.DisableGeneralOptionsHandler",
	"TestServerKeepAlivesEnabledResultClose":               "of http.Server.SetKeepAlivesEnabled",
	"TestServerSetKeepAlivesEnabledClosesConns":            "of http.Server.SetKeepAlivesEnabled",
	"TestServerKeepAlivesEnabled":                          "of http.Server.SetKeepAlivesEnabled",
	"TestDisableKeepAliveUpgrade":                          "of http.Server.SetKeepAlivesEnabled",
	"TestCloseWrite":                                       ofInside,
	"startClientBenchmarkServer":                           "of benchmarks",
}

// left reports whether a function is left out; that which a test calls for each mode goes with it.
func left(name string) bool {
	if strings.HasPrefix(name, "Benchmark") || strings.HasPrefix(name, "benchmark") {
		return true
	}
	if rest, ok := strings.CutPrefix(name, "test"); ok && leftOut["Test"+rest] != "" {
		return true
	}
	return leftOut[name] != ""
}

// Why tests fail that are run.
const (
	byRFC      = "RFC 9112 refuses it"
	noH2       = "ServeConn has no HTTP/2"
	ourText    = "tests the words of a log line or of an answer of http.Server itself"
	speaksH2   = "HTTP/2's preface begins HTTP/2, or is refused (505); no handler sees it"
	ofTheShim  = "of what stands in the place of http.Server here"
	itsListens = "of http.Server's listening and Shutdown; plexor.Server has its own"
)

// An exception is a test, or subtest, that fails, in one way to serve or in all.
type exception struct{ way, test, why string }

var exceptions = []exception{
	{"", "TestNewClientServerTest/synctest/h2", noH2},
	{"", "TestServerReadHeaderTimeoutIsCleared/h2", noH2},
	{"", "TestServerReadHeaderTimeoutIsCleared/h2unencrypted", noH2},
	{"", "TestStarRequestMethod/FOO/h1", byRFC + ": * is for OPTIONS alone (section 3.2.4)"},
	{"", "TestServeWithSlashRedirectKeepsQueryString/h1", byRFC + ": CONNECT has host:port (section 3.2.3)"},
	{"", "TestServerValidatesHostHeader", byRFC + ": CONNECT without Host (section 3.2), and HTTP/2.0"},
	{"", "TestUnsupportedTransferEncodingsReturn501/h1", byRFC + ": 400 where chunked is not the last (section 6.3)"},
	{"", "TestWriteHeaderNoCodeCheck/h1", ourText},
	{"", "TestWriteHeaderNoCodeCheck_h1hijack", ourText},
	{"", "TestTLSHandshakeTimeout/https1", ourText},
	{"", "TestTLSHandshakeTimeout/h2", ourText},
	{"", "TestTLSServerRejectHTTPRequests/https1", ourText},
	{"", "TestTLSServerRejectHTTPRequests/h2", ourText},
	{"", "TestTimeoutHandlerSuperfluousLogs/h1/return_before_timeout", ourText},
	{"", "TestTimeoutHandlerSuperfluousLogs/h1/return_after_timeout", ourText},
	{"", "TestHTTP2UpgradeClosesConnection", speaksH2},
	{"", "TestServerHandlersCanHandleH2PRI/h1", speaksH2},
	{"", "TestServerContext_ServerContextKey/h1", ofTheShim + "; web's TestContextValues has it"},
	{"", "TestServerContext_ServerContextKey/h2", ofTheShim + "; web's TestContextValues has it"},
	{"", "TestServerShutdownStateNew/h1", itsListens},
	{"", "TestServerShutdownStateNew/h2", itsListens},
	{"", "TestServerShutdownThenServe", itsListens},
	{"", "TestAcceptMaxFds", itsListens},
	{"goroutines", "TestHijackAfterCloseNotifier/h1", "wants a *net.TCPConn"},
	{"inline", "TestHijackAfterCloseNotifier/h1", "wants a *net.TCPConn"},
	{"conn", "TestServerConnState/h1", "ServeConn does not tell that the connection was hijacked"},
}

// inlineLeftOut are the tests that are not run inline, since their handlers block, or start goroutines that use the
// connection, which Inline excludes: they would stand still.
var inlineLeftOut = []string{"TestConcurrentReadWriteReqBody", "TestInterruptWithPanic", "TestEarlyHintsRequest",
	"TestResponseControllerFlush", "TestResponseControllerHijack", "TestResponseControllerSetFutureWriteDeadline",
	"TestWriteDeadlineEnforcedPerStream", "TestRequestLimit", "TestCloseNotifier", "TestHijackAfterCloseNotifier",
	"TestHijackBeforeRequestBodyRead", "TestTransportAndServerSharedBodyRace", "TestServerKeepAliveAfterWriteError",
	"TestServerRequestContextCancel_ConnClose", "TestServerShutdown", "TestServerHijackGetsBackgroundByte",
	"TestServerHijackGetsFullBody", "TestServerHijackGetsBackgroundByte_big"}

// excepted reports whether a test may fail, with all its parts.
func excepted(exceptions []exception, way, test string) bool {
	for _, e := range exceptions {
		if (e.way == "" || e.way == way) && (e.test == test || strings.HasPrefix(test, e.test+"/")) {
			return true
		}
	}
	return false
}
