package models

// mostWorkers bounds how many processes there are.
const mostWorkers = 128

var processes = Model{
	Name:  "processes",
	Short: "worker processes, each with one client at a time",
	Doc: "A master opens the listener and starts workers, which inherit it and all wait in accept on the same socket; " +
		"the kernel gives each client to one of them, and each worker serves one client at a time, in blocking calls. " +
		"Workers share no memory: one that crashes takes one client with it, and the master starts another. That is the " +
		"dearest way to hold a connection, for each costs a process, here with a Go runtime of its own. One chooses it " +
		"where isolation is worth that: code that crashes, leaks, or must not see what another client sent. (Go can't " +
		"fork, since only one thread survives fork; the master executes its own program anew and hands the descriptor over.)",
	Quadrant: Quadrant{Async: true, Parallel: true},
	Limit:    Limit{mostWorkers, "it is bounded to 128 workers, each a whole process that serves one client at a time"},
	serve:    serveProcesses,
	check:    checkProcesses,
}

// workerKey is the environment variable by which a process knows that it is a worker, and with which service.
const workerKey = "PLEXOR_MODELS_WORKER"
