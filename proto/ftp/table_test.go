package ftp

import (
	"testing"

	"github.com/plexor-go/plexor/internal/conformance"
)

// A rule is a MUST of one of the texts, in their order.
type rule struct {
	section string
	what    string
	tests   string // their names, with blanks between
	why     string // where there is no test: why
}

const (
	ofTLS         = "TLS alone is a mechanism here"
	ofOtherModes  = "MODE S, STRU F and bytes of 8 bits are all that there is; others are 504"
	ofTheCaller   = "the caller's, who has the client"
	ofTheRegistry = "for who registers names"
	ofHosts       = "for Server.Hosts to say, which knows the server's addresses"
)

// basic is RFC 959 with the MUSTs of RFC 1123, section 4.1.
var basic = []rule{
	{"959/2.3", "the control connection is open while data moves; its end aborts", "TestControlLost", ""},
	{"959/3.1.1.1", "TYPE A is there, with CR LF as the end of a line", "TestText TestASCII", ""},
	{"959/3.1.1.3", "TYPE I: the bytes as they are", "TestSession TestClient", ""},
	{"959/3.1.1.4", "TYPE L has a size in decimal digits; that of 8 is TYPE I", "TestDialogs", ""},
	{"959/3.1.1.5", "without a format it is Non-print", "TestDialogs", ""},
	{"959/3.1.2", "STRU F is there", "TestDialogs", ""},
	{"959/3.1.2", "STRU R for text", "", "RFC 1123, section 4.1.2.13, wants it where files have records; these have none"},
	{"959/3.1.2", "a file that is stored and fetched is the same", "TestClient TestClientPeers", ""},
	{"959/3.2", "the passive side listens before the transfer", "TestSession", ""},
	{"959/3.2", "the default data ports", "",
		"a client would have to listen on its control connection's port: 425, as vsftpd"},
	{"959/3.2", "226 or 250 behind a transfer", "TestSession", ""},
	{"959/3.3", "the end of the data is the end of the connection", "TestSession", ""},
	{"959/3.4", "blocks, compression, restart markers", "", ofOtherModes},
	{"959/3.5", "ABOR in the midst of a transfer: 426, then 226", "TestAbort TestAbortUpload", ""},
	{"959/4.1.1", "PASS is behind USER", "TestDialogs", ""},
	{"959/4.1.1", "USER again: the login begins anew", "TestDialogs", ""},
	{"959/4.1.1", "CDUP has the replies of CWD", "TestDialogs", ""},
	{"959/4.1.1", "REIN: as behind the connection", "TestDialogs", ""},
	{"959/4.1.1", "QUIT: 221, and the end; behind a transfer, if there is one", "TestPipelined TestSession", ""},
	{"959/4.1.2", "PORT: six numbers; PASV: 227 with such", "TestAddresses TestDialogs", ""},
	{"959/4.1.3", "names are the server's", "TestEscapes", ""},
	{"959/4.1.3", "data is sent over the data connection, but for some replies", "TestSession", ""},
	{"959/4.1.3", "RETR leaves the file alone", "TestSession TestNotRegular", ""},
	{"959/4.1.3", "STOR replaces or makes", "TestSession TestQuota", ""},
	{"959/4.1.3", "STOU: the reply has the name", "TestUnique", ""},
	{"959/4.1.3", "APPE appends, or makes", "TestRestart", ""},
	{"959/4.1.3", "ALLO: decimal numbers, and R between", "TestDialogs", ""},
	{"959/4.1.3", "REST is for the command behind it", "TestRestart", ""},
	{"959/4.1.3", "RNTO is behind RNFR", "TestDialogs", ""},
	{"959/4.1.3", "ABOR without a transfer: 226", "TestAbort TestDialogs", ""},
	{"959/4.1.3", "a client sends IP and a Synch before ABOR", "TestSynch", ""},
	{"959/4.1.3", "SYST: the first word is of the list of systems", "TestTexts", ""},
	{"959/4.1.3", "STAT: in a transfer, without and with a name", "TestMeanwhile TestDialogs", ""},
	{"959/4.1.3", "HELP", "TestDialogs", ""},
	{"959/4.2", "each command has a reply", "TestDialogs", ""},
	{"959/4.2", "a code, a space or a hyphen, text; of several lines the last has the code and a space", "TestReplies",
		""},
	{"959/4.2", "a line inside that begins with digits is padded", "TestReplies FuzzReply", ""},
	{"959/5.3", "names of commands in any case; a line ends with CR LF", "TestDialogs TestScanLine TestCharacters", ""},
	{"959/5.4", "codes as the text lists them", "TestDialogs", ""},
	{"959/5.4", "215 has a name of a system, and 220, 221, 421 begin and end", "TestTexts TestIdle", ""},
	{"959/appendix II", "257: the path in quotes, those inside doubled", "TestTexts TestQuoted", ""},
	{"1123/4.1.2.5", "a client sends PORT for each transfer", "TestClient", ""},
	{"1123/4.1.2.6", "PASV is there, and for one transfer", "TestDialogs TestNoDataConnection", ""},
	{"1123/4.1.2.6", "a client looks for the numbers in the text of 227", "TestAddresses", ""},
	{"1123/4.1.2.7", "what NLST tells RETR can take", "TestNLST TestClientPeers", ""},
	{"1123/4.1.2.9", "STOU: 125 or 150 and FILE: name", "TestUnique", ""},
	{"1123/4.1.2.10", "no line is taken for whole because of how TCP cut it", "TestMeanwhile TestScanLine", ""},
	{"1123/4.1.2.11", "replies of that form alone", "TestReplies TestTexts", ""},
	{"1123/4.1.2.11", "a client takes replies of several lines", "TestReplyLines", ""},
	{"1123/4.1.2.11", "a client does not take 421 for special where it waits for something else", "",
		"it may; this ends the Client"},
	{"1123/4.1.2.12", "an active data connection is from the address of the control connection", "TestClient", ""},
	{"1123/4.1.2.12", "a client sends nothing of Telnet but a Synch", "TestClient TestSynch", ""},
	{"1123/4.1.2.12", "a server refuses Telnet's options", "TestTelnet TestScanLine", ""},
	{"1123/4.1.2.13", "the least: types AN, I, L 8; S; F; and all commands of that list", "TestDialogs", ""},
	{"1123/4.1.3.2", "idle time, no shorter than 5 minutes unless told", "TestIdle", ""},
}

// security is RFC 2228 and RFC 4217.
var security = []rule{
	{"2228/3", "AUTH: 504 for what is not known, 502 without any", "TestSecurityCommands TestDialogs", ""},
	{"2228/3", "AUTH: 334 where data has to come", "", ofTLS},
	{"2228/3", "behind AUTH the user logs in again", "TestAuthForgets", ""},
	{"2228/3", "ADAT, MIC, CONF, ENC and what they carry", "", ofTLS},
	{"2228/3", "PBSZ is behind AUTH: 503; 501 if it is no number; 200 with the size", "TestSecurityCommands", ""},
	{"2228/3", "PROT is behind PBSZ: 503; 504 for what is no level, 536 for what TLS has not", "TestSecurityCommands", ""},
	{"2228/3", "CCC without protection: 533; 534 where it is not wanted", "TestSecurityCommands TestDialogs", ""},
	{"2228/8", "GSSAPI and Kerberos", "", ofTLS},
	{"4217/4", "AUTH TLS: 234, and TLS begins at once", "TestSecurityCommands TestClient", ""},
	{"4217/4", "behind it nothing holds that was said before", "TestAuthForgets", ""},
	{"4217/4", "what comes between AUTH and the handshake is not taken for protected", "TestInjected TestReadAhead", ""},
	{"4217/6", "FEAT has AUTH TLS, PBSZ and PROT", "TestSecurityCommands TestTexts", ""},
	{"4217/7", "the client is TLS's client, on data connections too, whoever connected", "TestClient", ""},
	{"4217/8", "a level holds until the next PROT", "TestSecurityCommands", ""},
	{"4217/8", "PROT is behind PBSZ, and that behind the handshake", "TestSecurityCommands", ""},
	{"4217/9", "the handshake of data is behind the reply 150", "TestClient TestClientPeers", ""},
	{"4217/9", "PBSZ 0 is sent, and its parameter is 0 in the reply", "TestSecurityCommands TestClient", ""},
	{"4217/9", "data is clear at first, behind AUTH", "TestSecurityCommands", ""},
	{"4217/10", "521, 522, 534 where policy wants more", "TestSecurityCommands TestUnbound", ""},
	{"4217/12", "data ends with close_notify, or it is not whole", "TestTruncatedUpload TestTruncatedDownload", ""},
	{"4217/12.3", "when AUTH is sent is the user's to say", "", ofTheCaller},
	{"4217/13", "REIN ends TLS", "", "it is refused over TLS by 502: see doREIN"},
	{"4217/14", "ABOR and STAT come protected on the control connection", "TestClientAbort", ""},
	{"4217/15", "certificates are looked at", "TestUntrusted", ""},
}

// features is RFC 2389, 2428, 2640, 3659 and 7151.
var features = []rule{
	{"2389/3", "FEAT: 211, a line each that begins with a space, of the given form", "TestTexts", ""},
	{"2389/3", "a client passes over what it does not know", "TestServerPeers", ""},
	{"2389/4", "OPTS is there where FEAT is: 200, or 501 for what it does not know", "TestDialogs", ""},
	{"2428/2", "EPRT: one space, a delimiter of 33 to 126, a family of 1 or 2, an address of its form", "TestAddresses",
		""},
	{"2428/2", "EPRT: 200, 501, or 522 with the families in parentheses and nowhere else", "TestDialogs TestTexts", ""},
	{"2428/3", "EPSV: 229 with (|||port|) and empty fields", "TestAddresses TestDialogs", ""},
	{"2428/3", "EPSV with a family: 522 with what there is", "TestTexts TestDialogs TestIPv6", ""},
	{"2428/3", "a client that got another family than it wants says ABOR", "", "it asks for no family"},
	{"2428/4", "EPSV ALL: all others are refused", "TestDialogs", ""},
	{"2640/2.2", "one space is between the command and the name; more are the name's", "TestDialogs TestParseCommand", ""},
	{"2640/2.2", "a CR in a name is sent as CR NUL", "",
		"it is refused, both ways: a line is a line (see TestCharacters)"},
	{"2640/3.1", "UTF-8 both ways; FEAT has UTF8; a client knows it", "TestTexts TestNames", ""},
	{"2640/4", "LANG: 200, 504; FEAT has a tag at least", "TestDialogs TestTexts", ""},
	{"3659/2.1", "replies of the given form, in the digits that there are", "TestTexts TestTimes", ""},
	{"3659/2.2", "a CR LF inside a name is none", "TestCharacters TestNamesInListings", ""},
	{"3659/2.3", "times are in UTC", "TestTexts TestTimes", ""},
	{"3659/3", "MDTM: 213 and the time alone; FEAT has it", "TestTexts", ""},
	{"3659/4", "SIZE: exact, by the type, or 550; FEAT has it", "TestTexts TestText", ""},
	{"3659/5", "REST: 350; 501 for no number; what is beyond is for the next command to refuse", "TestRestBeyond", ""},
	{"3659/5.3", "APPE behind REST is STOR", "TestRestart", ""},
	{"3659/5.4", "FEAT has REST STREAM", "TestTexts", ""},
	{"3659/6", "TVFS: slashes between, one root, and that in FEAT", "TestDialogs TestTexts", ""},
	{"3659/7", "MLSD: folders alone, else 501; over the data connection", "TestDialogs TestClientFolders", ""},
	{"3659/7", "MLST: one entry, on the control connection, behind a space", "TestTexts", ""},
	{"3659/7", "without an argument it is the current folder", "TestDialogs TestClientFolders", ""},
	{"3659/7.2", "facts of the given form, without a space; the name is behind one", "TestParseFacts FuzzFacts", ""},
	{"3659/7.2", "8 bits", "TestNames", ""},
	{"3659/7.3", "names that are told are those that commands take", "TestClientFolders", ""},
	{"3659/7.5", "names of facts in any case; what is not known is passed over", "TestParseFacts", ""},
	{"3659/7.5.3", "unique is the same for the same file", "", "it is not told"},
	{"3659/7.5", "the registries, lang, media-type, charset", "", ofTheRegistry},
	{"3659/7.8", "FEAT has MLST, and an asterisk behind each fact that is told", "TestTexts", ""},
	{"3659/7.9", "OPTS MLST: the facts that are told from then on", "TestTexts", ""},
	{"7151/3", "HOST is before the login, or 503", "TestHost", ""},
	{"7151/3.1", "a port is 501; IPv6 stands in brackets", "TestHost", ""},
	{"7151/3.1", "an address that is not the server's: 504", "", ofHosts},
	{"7151/3.2", "a name that is not known: 504", "TestHost", ""},
	{"7151/3.2", "REIN forgets it", "TestHost", ""},
	{"7151/3.3", "a client sends it before it logs in", "TestHost", ""},
	{"7151/3.3", "HOST again: as if the one before had not been", "TestHost", ""},
	{"7151/3.4", "it is the name that TLS was asked for", "TestHost", ""},
	{"7151/3.5", "unknown: 500 or 502", "TestDialogs", ""},
	{"7151/3.6", "FEAT has HOST", "TestHost TestTexts", ""},
	{"draft-somers-ftp-mfxx/3", "MFMT: 213 with the fact and the path; 501, 550; FEAT has it",
		"TestTexts TestDialogs TestNoTimes", ""},
}

func TestRules(t *testing.T) {
	x := conformance.New(t)
	for _, table := range [][]rule{basic, security, features} {
		for _, r := range table {
			x.Row(r.section+", "+r.what, r.tests, r.why)
		}
	}
}
