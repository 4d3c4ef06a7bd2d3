// Package ftp is the File Transfer Protocol: a server and a client that work on any [net.Conn], and what both are
// made of, without sockets: lines of commands, replies, addresses, facts and listings.
//
// A [Server] knows no listener for control connections. Whoever has one calls Serve, or NewSession and Turn; so it
// runs on goroutines and on coroutines alike. Data connections it opens itself, by its functions Listen and Dial,
// which are package net's unless set. Each transfer runs on a goroutine of its own, and nothing else does.
//
//	control ──▶ Session.Turn ──▶ a command ──▶ a reply
//	                                └──▶ a transfer: a goroutine ◀──▶ data connection ◀──▶ File
//	            (meanwhile it reads on, for ABOR, STAT and the end of the connection)
//
// What is served: RFC 959 with the corrections of RFC 1123, section 4.1; TLS by AUTH and from the first byte (RFC
// 2228, 4217); FEAT and OPTS (2389); EPSV and EPRT (2428); UTF-8 names and LANG (2640); SIZE, MDTM, MLST, MLSD and
// REST STREAM (3659); HOST (7151); MFMT, which is in a draft only (draft-somers-ftp-mfxx).
//
// # Data connections belong to their control connection
//
// A data connection is a second connection, and FTP has nothing that says whose it is. Three attacks live on that,
// and each is met here:
//
//   - The bounce: PORT with the address of somebody else. An active connection goes to the control connection's peer
//     alone, and to ports from 1024 on (RFC 2577).
//   - The theft: somebody connects to the passive port first. Only the control connection's peer is accepted; others
//     are closed, counted, and the wait goes on.
//   - The theft from the same address (another user of that machine, another machine behind that NAT). Over TLS the
//     server puts an id of the control connection into its session tickets, and knows a data connection by the id in
//     the ticket that it resumes with, with TLS 1.2 and 1.3 alike. Data connections issue tickets with the same id, for
//     a client may use a ticket once. [Binding] says whether a client has to resume.
//
// An upload over TLS is whole when close_notify has come, and not before: anybody on the way can end a TCP
// connection. Without it the answer is 426, and what came stays in the file, for REST.
//
// # Uploads are written in place
//
// A temporary name that becomes the real one at the end would hide half a file from readers. But then the part of a
// broken upload would have to be found again by REST, SIZE and APPE under a name that it does not have, and clients
// that look at the size while they send would see nothing. Users of vsftpd and ProFTPD know files that grow, and
// those who want more rename with RNFR and RNTO, as they do there. So a file grows under its name.
//
// # Memory
//
// A session that waits for its next command holds no buffer, but for the beginning of a line.
package ftp
