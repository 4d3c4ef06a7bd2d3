package ftp

import (
	"testing"

	"github.com/plexor-go/plexor/internal/conformance"
)

// An asked is what one test of pyftpdlib's functional suite asks, under the suite's name for it, without "test_". Where
// this server answers differently, the difference is a choice, and what says so.
type asked struct {
	class string
	names string // with blanks between
	tests string // ours
	why   string // where there is none
}

const (
	ofTheirs  = "of that program's own machinery"
	ofPlexor  = "connections are bounded by who accepts them: plexor.Server"
	ofUTC     = "times are in UTC, always"
	ofUTF8    = "names are in UTF-8, always"
	ofNoModes = "modes of files are not a client's to set: SITE CHMOD is 504"
)

// suite is what there is in tests/test_functional.py of pyftpdlib, 2025.
var suite = []asked{
	{"authentication", "auth_ok anon_auth auth_failed wrong_cmds_order user", "TestDialogs", ""},
	{"authentication", "max_auth", "TestGuessing", ""},
	{"authentication", "rein", "TestDialogs", ""},
	{"authentication", "rein_during_transfer user_during_transfer", "TestLoginDuringTransfer", ""},
	{"dummy commands", "type stru mode noop allo quit help site site_help rest", "TestDialogs", ""},
	{"dummy commands", "syst feat opts_feat", "TestTexts", ""},
	{"semantics", "arg_cmds no_arg_cmds auth_cmds no_auth_cmds", "TestDialogs", ""},
	{"file system", "cwd pwd cdup mkd rmd dele rnfr_rnto mdtm size", "TestDialogs TestTexts", ""},
	{"file system", "mfmt invalid_mfmt_timeval missing_mfmt_timeval_arg", "TestDialogs TestTexts", ""},
	{"file system", "site_chmod", "", ofNoModes},
	{"store", "stor", "TestClient TestSession", ""},
	{"store", "stor_active", "TestClient", ""},
	{"store", "stor_ascii stor_ascii_2", "TestText TestASCII", ""},
	{"store", "stou stou_rest stou_orphaned_file", "TestUnique TestUniqueLeavesNothing", ""},
	{"store", "appe appe_rest", "TestRestart", ""}, // APPE behind REST is STOR here (RFC 3659, section 5.3)
	{"store", "rest_on_stor failing_rest_on_stor", "TestRestart TestRestBeyond", ""},
	{"store", "quit_during_transfer", "TestPipelined", ""},
	{"store", "stor_empty_file", "TestEmptyFiles", ""},
	{"store without sendfile, with files of one's own", "all of the above", "TestOwnFiles", ""},
	{"retrieve", "retr", "TestClient TestDialogs", ""},
	{"retrieve", "retr_ascii retr_ascii_already_crlf", "TestText TestASCII", ""},
	{"retrieve", "restore_on_retr", "TestRestart TestRestBeyond", ""},
	{"retrieve", "retr_empty_file", "TestEmptyFiles", ""},
	{"retrieve without sendfile, with files of one's own", "all of the above", "TestOwnFiles", ""},
	{"list", "nlst", "TestNLST", ""},
	{"list", "list mlsd", "TestDialogs TestClientFolders", ""},
	{"list", "mlst mlsd_all_facts", "TestTexts TestDialogs", ""},
	{"list", "stat", "TestDialogs", ""},
	{"list", "unforeseen_time_event", "TestOddTimes", ""},
	{"abort", "abor_no_data abor_pasv abor_port", "TestDialogs TestPortsAreGivenBack", ""}, // 226 in place of 225
	{"abort", "abor_during_transfer oob_abor", "TestAbort", ""},
	{"throttle", "throttle_send throttle_recv", "TestRate", ""},
	{"time-outs", "idle_timeout disabled_idle_timeout", "TestIdle", ""},
	{"time-outs", "data_timeout data_timeout_not_reached", "TestStalled TestSlowReader", ""},
	{"time-outs", "idle_data_timeout1", "TestTransferIsNotIdle", ""},
	{"time-outs", "idle_data_timeout2", "TestTransferIsNotIdle", ""},
	{"time-outs", "pasv_timeout", "TestNoDataConnection", ""},
	{"time-outs", "disabled_data_timeout disabled_pasv_timeout disabled_port_timeout", "TestNoLimits", ""},
	{"options", "max_connections", "", ofPlexor},
	{"options", "max_connections_per_ip", "", ofPlexor},
	{"options", "banner", "TestTexts", ""},
	{"options", "max_login_attempts", "TestGuessing", ""},
	{"options", "masquerade_address", "TestPassiveRange TestForeignPASV", ""},
	{"options", "masquerade_address_map", "", "a Server has one address to tell"},
	{"options", "passive_ports passive_ports_busy", "TestPassiveRange", ""}, // beyond the range there is none
	{"options", "use_gmt_times", "", ofUTC},
	{"options", "encoding", "", ofUTF8},
	{"callbacks", "on_file_received on_file_sent on_incomplete_file_received on_incomplete_file_sent", "TestRecords", ""},
	{"callbacks", "on_login_failed", "TestRecords", ""},
	{"callbacks", "on_disconnect on_logout_quit on_logout_rein on_logout_no_pass on_logout_user_issued_twice",
		"TestCrowd", ""},
	{"IPv4 and IPv6", "eprt epsv epsv_all", "TestAddresses TestDialogs TestIPv6", ""},
	{"IPv4", "port_v4 eprt_v4", "TestBounce TestAddresses TestDialogs", ""},
	{"IPv4", "pasv_v4", "TestDialogs TestPassiveRange", ""},
	{"IPv6", "port_v6 pasv_v6 eprt_v6", "TestIPv6 TestBounce", ""}, // PASV is 522: it is for IPv4
	{"both", "port_v4 pasv_v4 eprt_v4 epsv_v4", "TestBothFamilies", ""},
	{"corner cases", "port_race_condition", "TestPortAndGone", ""},
	{"corner cases", "quick_connect", "TestQuickConnections", ""},
	{"corner cases", "active_conn_error", "TestNoDataConnection", ""},
	{"corner cases", "error_on_callback repr ioloop_fileno", "", ofTheirs},
	{"names in Unicode", "cwd mkd rmdir rnfr_rnto size mdtm stou stat nlst list mlsd", "TestNames", ""},
	{"TLS", "all of the above", "TestClient TestClientPeers", ""},
	{"TLS", "auth pbsz prot feat", "TestSecurityCommands", ""}, // AUTH SSL is 504
	{"TLS", "unforseen_ssl_shutdown", "TestControlShutdown", ""},
	{"TLS", "tls_control_required tls_data_required", "TestSecurityCommands", ""},
	{"TLS", "ssl_version sslv2", "", "crypto/tls has none of the old versions"},
}

func TestSuite(t *testing.T) {
	x := conformance.New(t)
	for _, a := range suite {
		x.Row("pyftpdlib, "+a.class+": "+a.names, a.tests, a.why)
	}
}
