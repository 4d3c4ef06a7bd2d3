package smtp

import (
	"testing"

	"github.com/plexor-go/plexor/internal/stage"
)

// TestInLab has servers and clients converse on the lab's own TCP: sessions, AUTH, STARTTLS, LMTP.
func TestInLab(t *testing.T) {
	stage.Play{Calls: []string{"serve", "dial", "scripted"}, Tests: []func(*testing.T){
		TestAuth, TestAuthParam, TestLogins, TestBadReplies, TestUnasked, TestClientStartTLSInjection,
		TestLMTPCut, TestContext, TestNeverSent, TestNotOffered, TestEightBitUnseen, TestRequireTLS,
		TestSomeRecipients, TestRefusedWhole, TestNobodyAnd354, TestMailMax, TestRefusedMidway, TestSend,
		TestParametersAreEncoded, TestHELO, TestAllInOne, TestSessions, TestParameters, TestBackendRefuses,
		TestLimits, TestLimitsOffered, TestLimitsTaken,
		TestLimitsOfParameters, TestLMTP, TestLMTPAll, TestRefusedAtOnce, TestVerify,
		TestUnknownCodes, TestBinary, TestLongToken, TestEmptyResponse, TestBadChallenge, TestWrongName,
		TestUTF8Offered, TestProxyThenTLS, TestProxyEnds, TestSession, TestPipelining,
		TestStream, TestStartTLS, TestStartTLSInjection, TestImplicitTLS,
	}, Kernels: map[string]string{
		"TestPostfix":            "Postfix is on the kernel's sockets",
		"TestPostfixTLS":         "Postfix is on the kernel's sockets",
		"TestAiosmtpdTests":      "Python is on the kernel's sockets",
		"TestPeer":               "it names the loopback's addresses",
		"TestProxyFromStrangers": "it names the loopback's addresses",
	}}.Run(t)
}
