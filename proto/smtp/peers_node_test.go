package smtp

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// nodeFolder is the variable with the folder in which npm has installed smtp-server (npm install --prefix FOLDER
// smtp-server); .ci/run does so.
const nodeFolder = "PLEXOR_SMTP_SERVER"

// nodeServer is a server by npm's smtp-server, which keeps each mail in a file.
const nodeServer = `
const { SMTPServer } = require(process.argv[1] + "/node_modules/smtp-server");
const fs = require("fs");
const [folder, host, port, kind, dir, cert, key] = process.argv.slice(1);
let n = 0;
const o = {
	name: "peer.example", lmtp: kind === "lmtp", secure: kind === "tls", authOptional: kind !== "starttls", size: 1 << 20,
	authMethods: ["PLAIN", "LOGIN", "XOAUTH2"],
	onAuth(auth, session, done) {
		const ok = auth.username === "u" && (auth.password === "p" || auth.accessToken === "p");
		done(ok ? null : new Error("no"), { user: "u" });
	},
	onRcptTo(address, session, done) { done(address.address.startsWith("no") ? new Error("no such user") : null); },
	onData(stream, session, done) {
		const parts = [];
		stream.on("data", (b) => parts.push(b));
		stream.on("end", () => {
			const all = Buffer.concat(parts);
			if (stream.sizeExceeded) return done(Object.assign(new Error("too large"), { responseCode: 552 }));
			fs.writeFileSync(dir + "/" + n++, all);
			done(null, kind === "lmtp" ? session.envelope.rcptTo.map(() => "kept") : "kept");
		});
	},
};
if (kind !== "lmtp" && kind !== "plain") Object.assign(o, { cert: fs.readFileSync(cert), key: fs.readFileSync(key) });
if (kind === "plain" || kind === "lmtp") o.disabledCommands = ["STARTTLS"];
const server = new SMTPServer(o);
server.on("error", () => {}); // the test looks whether it answers
server.listen(Number(port), host);
`

// TestNodeServer sends to npm's smtp-server: in plain text, by STARTTLS and over TLS with each login that it knows, and
// in LMTP.
func TestNodeServer(t *testing.T) {
	t.Parallel()
	folder := os.Getenv(nodeFolder)
	if folder == "" {
		t.Skip("there is no smtp-server of npm here: " + nodeFolder + " is not set")
	}
	cfg, ccfg := testTLS()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	der, err := x509.MarshalPKCS8PrivateKey(cfg.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: cfg.Certificates[0].Certificate[0]},
		key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct {
		name, kind string
		security   Security
		auth       Credential
	}{
		{"plain", "plain", NoTLS, nil}, {"lmtp", "lmtp", NoTLS, nil},
		{"starttls plain", "starttls", NeedStartTLS, Plain("", "u", "p")},
		{"starttls login", "starttls", NeedStartTLS, Login("u", "p")},
		{"starttls xoauth2", "starttls", NeedStartTLS, XOAuth2("u", "p")},
		{"tls", "tls", ImplicitTLS, Plain("", "u", "p")},
	} {
		t.Run(row.name, func(t *testing.T) {
			box := filepath.Join(dir, strings.ReplaceAll(row.name, " ", "-"))
			if err := os.Mkdir(box, 0o700); err != nil {
				t.Fatal(err)
			}
			addr := runServer(t, "node", "-e", nodeServer, folder, "{host}", "{port}", row.kind, box, cert, key)
			o := DialOptions{Security: row.security, TLS: ccfg, Auth: row.auth}
			o.LMTP = row.kind == "lmtp"
			sendAll(t, addr, o)
			files, _ := filepath.Glob(filepath.Join(box, "*"))
			seen := make(map[string]int)
			for _, f := range files {
				b, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				seen[string(b)]++
			}
			for _, text := range peerMessages {
				if text != "" && !strings.HasSuffix(text, "\r\n") {
					text += "\r\n"
				}
				if len(files) != 3*len(peerMessages) || seen[text] != 3 {
					t.Errorf("%d messages came; %.50q %d times", len(files), text, seen[text])
				}
			}
			c, err := Dial(t.Context(), addr, o)
			if err != nil {
				t.Fatal(err)
			}
			r, err := c.Send(t.Context(), &Message{From: sender, To: to("b", "nobody"), Data: strings.NewReader("x\r\n")})
			if err != nil || r.Errors[0] != nil || r.Errors[1] == nil {
				t.Errorf("to somebody and nobody: %v, %+v", err, r)
			}
			large := &Message{From: sender, To: to("b"), Data: strings.NewReader(strings.Repeat("x\r\n", 400000))}
			if _, err := c.Send(t.Context(), large); err != ErrTooLarge {
				t.Errorf("too large: %v", err)
			}
			if err := c.Quit(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	if _, err := Dial(t.Context(), runServer(t, "node", "-e", nodeServer, folder, "{host}", "{port}", "starttls", dir,
		cert, key), DialOptions{TLS: ccfg, Auth: Plain("", "u", "wrong")}); err == nil {
		t.Error("a wrong password logs in")
	}
}
