// Package served is where Go's own tests of servers are compiled: package gohttp lays them over this directory.
package served
