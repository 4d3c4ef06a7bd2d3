module github.com/plexor-go/plexor

go 1.26.0

require (
	github.com/HdrHistogram/hdrhistogram-go v1.4.0
	github.com/alecthomas/kong v1.17.0
	golang.org/x/sys v0.49.0
	golang.org/x/term v0.47.0
)
