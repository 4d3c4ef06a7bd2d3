// Package histories tries whether the key-value stores of package mq are registers: histories of clients that use one
// at once, while the network between parts them from it, are checked by porcupine.
package histories
