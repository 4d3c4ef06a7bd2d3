module github.com/plexor-go/plexor

go 1.26.0
