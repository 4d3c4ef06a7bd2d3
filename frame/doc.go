// Package frame finds messages in a byte stream, the answer to sticky packets.
package frame
