//go:build race

package ftp

const raceFactor = 2
