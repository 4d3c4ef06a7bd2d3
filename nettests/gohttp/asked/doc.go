// Package asked is where Go's own tests of clients are compiled: package gohttp lays them over this directory.
package asked
