package models

var blocking = Model{
	Name:  "blocking",
	Short: "one client at a time, in calls that wait",
	Doc: "One thread takes a client, serves it to its end, and takes the next. Every call waits: accept for a client, " +
		"read for its bytes, write for room. Nothing could be cheaper for one client, for there is nobody to choose " +
		"between: two system calls a message, no multiplexer, no switch but the wait itself. And one client that says " +
		"nothing keeps all others out. One chooses it for a tool that talks to one peer, and for teaching.",
	Quadrant: Quadrant{},
	Limit:    Limit{1, "it serves one client at a time; the others wait in the kernel's backlog"},
	serve:    serveBlocking,
	check:    checkRaw,
}
