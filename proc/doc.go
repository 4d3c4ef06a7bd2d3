// Package proc runs a program as several processes: a [Master] with workers that serve on shared sockets, restarted,
// reloaded and upgraded without a refused connection; and a [Pool] whose workers call functions. A process has its own
// memory and dies alone; it costs some milliseconds to start.
//
//	func main() {
//		proc.Register("web", web)
//		proc.Main() // a worker goes no further
//		m := &proc.Master{Entry: "web", Workers: 4, Addrs: []string{"tcp://127.0.0.1:9000"}, PIDFile: "/run/web.pid"}
//		if err := m.Run(context.Background()); err != nil {
//			log.Fatal(err)
//		}
//	}
//
//	func web(w *proc.Worker) error { return w.Serve(&plexor.Server{Loops: 1, Handler: …}) }
//
// A Go program can't fork: a worker is the same program started anew, with the master's arguments, which goes from
// [Main] to its entry. It inherits the sockets and one end of a pipe, by which the master says what there is to do and,
// by dying, that it has died.
//
// # Sockets
//
// The master binds and never accepts; the workers accept from the one socket that all share. A socket for each worker
// with SO_REUSEPORT would have a queue of its own, and what waits in it is reset when its worker ends: every reload
// would cost connections. The shared queue outlives them. The kernel spreads well enough (BenchmarkSpread, four workers
// on two cores): of 64 connections that stay, the fullest worker had 1.06 times its share on io_uring and 1.3 to 1.7 on
// epoll, poll and select, against 1.1 to 1.25 with SO_REUSEPORT; of connections that come and go each had its share
// within 8 % either way.
//
// # Signals
//
// To the master, as gunicorn and nginx have them:
//
//	HUP        reload: each worker is replaced by a new one, which is ready before the old one retires
//	TTIN TTOU  one worker more, one fewer
//	USR2       upgrade: the program that stands in our file by now starts as a second master, on the same sockets
//	TERM       drain: what is under way is finished, within Drain; a second one does not wait
//	INT QUIT   quick: connections are cut
//
// A worker takes TERM as a wish to retire; the master then starts another. What a terminal sends to all processes (INT,
// HUP) workers ignore.
//
// A worker that retires accepts no more, and leaves its connections to end by themselves for as long as Drain, since on
// each of them a request may be on its way. Only then does it close those that are quiet, as at the end of a server.
// A reload so takes as long as the slowest client, at most twice Drain, and loses nothing of clients that end first.
//
// In an upgrade the old master's pid file gets ".oldbin" behind its name, and the new one writes its own. Both serve,
// until somebody ends one of them by TERM: the old one, or, if it does not do well, the new one, and then the old has
// its file back. Workers that are restarted or reloaded are always of their master's program, even when its file was
// replaced.
//
// # TLS
//
// Session tickets of TLS are good at every worker, after a reload and after an upgrade: the master makes their keys, a
// new one every 12 hours, and tells its workers by the pipe. They are never in an environment, an argument, a file or a
// log. [Worker.Serve], [Worker.Join] and [Worker.Run] give them to a plexor.Server, [Worker.OnTicketKeys] to any other.
//
// # Death
//
// A worker that dies is started again, the first time after Backoff; a master whose worker dies again and again says so
// and ends with an error. Workers whose master died drain and end, so that the address is free for the next one. A
// master that is killed (SIGKILL) leaves its pid file and the files of unix sockets; the next one sees that nobody
// holds them, and takes them over. Every process is waited for; no one stays a zombie,
// nor do orphans that a master gets as process 1 of a container ([ReapOrphans]).
//
// A worker that is killed takes the connections that it had with it, and no others: what waits in the shared queue is
// the others'. So is what comes while a worker is stopped or held up: with io_uring the kernel wakes one worker for a
// connection, and the others look 5 ms later whether it was taken.
//
// # Service managers
//
// systemd's protocols are spoken in both directions. A master takes the sockets of LISTEN_FDS that are bound to one of
// its addresses, and leaves their files alone; it tells NOTIFY_SOCKET READY=1, RELOADING=1, STOPPING=1 and, in an
// upgrade, MAINPID. Its workers and successor get the same variables from it: on Linux a READY=1 to NOTIFY_SOCKET
// is as good as [Worker.Ready].
//
// # Pools
//
//	var square = proc.NewFunc("square", func(ctx context.Context, n int) (int, error) { return n * n, nil })
//
//	p, err := proc.NewPool(proc.PoolOptions{Limit: time.Minute})
//	for v, err := range square.Map(ctx, p, slices.Values(numbers)) { … }
//
// A call whose worker dies is begun again, in another, up to Tries times, and fails then with the reason: none is lost.
// So what a function does outside its process it may do more than once.
//
// On Windows the package builds, and Run and NewPool return [ErrUnavailable].
package proc
