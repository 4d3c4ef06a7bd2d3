// Module nettests holds tests that need golang.org/x/net, or peers that are modules, so that users of plexor do not get it with them.
module github.com/plexor-go/plexor/nettests

go 1.26.0

require (
	github.com/plexor-go/plexor v0.0.0
	github.com/summerwind/h2spec v2.2.1+incompatible
	golang.org/x/net v0.62.0
)

require (
	github.com/fatih/color v1.19.0 // indirect
	github.com/mattn/go-colorable v0.1.14 // indirect
	github.com/mattn/go-isatty v0.0.20 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)

replace github.com/plexor-go/plexor => ../
