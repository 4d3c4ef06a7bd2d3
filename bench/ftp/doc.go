// Command ftp puts the downloads of package ftpd next to vsftpd's (where that is installed): how fast a large file
// leaves, and what CPU time that costs the server.
//
//	cd bench && go run ./ftp                      a file of 1 GiB, 12 rounds, servers in turn
//	go run ./ftp -rounds 30 -pin                  each side on a core of its own
//	go run ./ftp -size 268435456 -servers plexor  ours alone
//
// The file lies in memory (-dir, by default /dev/shm), so that no disk is measured. A server is a process of its own;
// the client is this process, and throws away what it reads. All sessions are logged in before the clock starts. CPU
// time is that of all threads of the server and of its children, by the scheduler's clock
// (/proc/PID/task/TID/schedstat), from RETR to the reply behind it; what the kernel does for the receiving end of
// loopback on the sender's thread is in it, for all alike. The ratios are the medians of those of the same round,
// with their quartiles. The server "again" is a second vsftpd: how far it is from the first is what the machine's
// noise makes of servers that are the same.
//
// With -pin a Go program has one processor of Go's, and so no thread to wait in sendfile(2): see proto/ftp's
// sendfile_linux.go.
package main
