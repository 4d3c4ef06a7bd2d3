// Module nettests holds tests that need golang.org/x/net, so that users of plexor do not get it with them.
module github.com/plexor-go/plexor/nettests

go 1.26.0

require (
	github.com/plexor-go/plexor v0.0.0
	golang.org/x/net v0.62.0
)

require golang.org/x/sys v0.49.0 // indirect

replace github.com/plexor-go/plexor => ../
