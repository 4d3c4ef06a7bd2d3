// Command mail puts the service smtp of plexor, which catches mail, next to Mailpit: mails a second, and what one costs
// the server.
//
//	cd bench && go run ./mail -mailpit $(which mailpit)     all of it, some minutes
//	go run ./mail -mails 2000 -conns 20 -rounds 3           some of it
//
// Mailpit is a program that is to be there (go install github.com/axllent/mailpit@v1.33.1); without it plexor's alone
// are measured. The command plexor is built from this tree, unless -plexor names one.
//
// A mail has 1 KiB and one recipient. The load is the same for all servers, a process of its own: "steps" waits for
// each answer, as Postfix's smtp-source does; "group" sends MAIL, RCPT and DATA in one piece, and the text together
// with those of the next mail (RFC 2920), which Mailpit takes, too, though it does not offer it. Nothing is pinned to
// a core. Servers are loaded in turn, round after round, each in a folder of its own below -dir, on the file system
// that it lies on.
//
// What is compared with what: Mailpit's default, whose commits do not wait for the disk (SQLite's WAL with
// synchronous=NORMAL), with sync=no; and Mailpit with --disable-wal, where each commit is synced, with sync=yes,
// plexor's default. The tables show medians of the rounds. A rate counts answers; what a server still writes behind
// the last one falls into the pause that follows (-settle), and so does plexor's with sync=no, whose bound is 4096
// mails: see -mails. The server's CPU time, of all threads of its process, is with that pause. The folders are
// removed at the end. ext4 makes files slowly for some minutes where many were removed.
package main
