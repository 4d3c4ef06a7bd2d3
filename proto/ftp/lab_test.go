package ftp

import (
	"testing"

	"github.com/plexor-go/plexor/internal/stage"
)

// TestInLab has servers and clients converse on the lab's own TCP, and make their data connections there: passive and
// active, in plain text and over TLS.
func TestInLab(t *testing.T) {
	t.Parallel()
	stage.Play{Calls: []string{"newRig", "kinds", "serve", "dialTalk"}, Tests: []func(*testing.T){
		TestNoActive, TestCharacters, TestLogInjection, TestNamesInListings, TestEscapes, TestRestBeyond,
		TestSlowLogin, TestIdle, TestGuessing, TestNotFTP, TestForeignPASV, TestClientArguments, TestCrowd,
		TestUnbound, TestTruncatedUpload, TestTruncatedDownload, TestInjected, TestAuthForgets, TestManyErrors,
		TestPassingErrors, TestFailingFiles, TestClient, TestClientFolders,
		TestClientAbort, TestTexts, TestSecurityCommands, TestHost, TestTelnet,
		TestNames, TestNLST, TestUntrusted, TestHugeListing, TestSession,
		TestPassiveRange, TestContext, TestRecords, TestAbortUpload, TestMeanwhile, TestPipelined,
		TestControlLost, TestStalled, TestLeastRate, TestRate, TestQuota,
		TestQuotaCheats, TestText, TestRestart, TestUnique, TestDiskFull, TestNotRegular, TestImplicitSilence,
		TestUniqueLeavesNothing, TestLoginDuringTransfer, TestNoTimes, TestEmptyFiles, TestControlShutdown,
		TestOddTimes, TestOwnFiles, TestTransferIsNotIdle,
	}, Kernels: map[string]string{
		"TestSlowerThanLeast":   "it waits for seconds",
		"TestChangingLinks":     "it is about links",
		"TestHugeFolder":        "it is about folders, and takes long",
		"TestHugeFile":          "it is about files: gigabytes",
		"TestDialogs":           "it names the loopback's address in PORT",
		"TestNoDataConnection":  "it names the loopback's address in PORT",
		"TestSlowReader":        "it is about sendfile, which tells what has left",
		"TestBounce":            "it needs a second address of the loopback",
		"TestTheft":             "it needs a second address of the loopback",
		"TestIPv6":              "it is about the loopback's address",
		"TestClientPeers":       "they are programs on the kernel's sockets",
		"TestNoLimits":          "it names the loopback's address in PORT",
		"TestPortAndGone":       "it names the loopback's address in PORT",
		"TestBothFamilies":      "it is about the loopback's addresses",
		"TestHalfClosedData":    "it closes halves of package net's connections",
		"TestQuickConnections":  "it resets package net's connections",
		"TestResetUpload":       "it resets package net's connections",
		"TestBrokenOffUpload":   "it resets package net's connections",
		"TestStillUploads":      "it is about how package net's connections are waited for",
		"TestNoDescriptors":     "it is about descriptors",
		"TestPortsAreGivenBack": "it is about package net's listeners",
		"TestSignals":           "it is about system calls",
		"TestThreadsComeBack":   "it is about sendfile",
		"TestThreadsAreFew":     "it is about sendfile",
		"TestAbort":             "urgent data has no call on a connection of the lab",
	}}.Run(t)
}
