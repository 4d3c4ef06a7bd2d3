package resp

import (
	"math"
	"strconv"
)

// AppendCommand appends a command, an array of bulk strings, as a client sends it. It needs at least one argument.
func AppendCommand[T []byte | string](dst []byte, args ...T) []byte {
	dst = AppendArray(dst, len(args))
	for _, a := range args {
		dst = AppendBulk(dst, a)
	}
	return dst
}

// AppendSimple appends a simple string. CR and LF in it become spaces.
func AppendSimple(dst []byte, text string) []byte { return appendLine(dst, Simple, text) }

// AppendError appends an error: a code in capitals, a blank, and words, as in "ERR unknown command". CR and LF in it
// become spaces.
func AppendError(dst []byte, text string) []byte { return appendLine(dst, Error, text) }

func appendLine(dst []byte, kind Kind, text string) []byte {
	dst = append(dst, byte(kind))
	from := len(dst)
	dst = append(dst, text...)
	for i := from; i < len(dst); i++ {
		if dst[i] == '\r' || dst[i] == '\n' {
			dst[i] = ' '
		}
	}
	return append(dst, '\r', '\n')
}

// AppendInt appends a number.
func AppendInt(dst []byte, n int64) []byte { return appendNumber(dst, Int, n) }

func appendNumber(dst []byte, kind Kind, n int64) []byte {
	return append(strconv.AppendInt(append(dst, byte(kind)), n, 10), '\r', '\n')
}

// AppendBulk appends a bulk string: any bytes.
func AppendBulk[T []byte | string](dst []byte, text T) []byte {
	dst = appendNumber(dst, Bulk, int64(len(text)))
	return append(append(dst, text...), '\r', '\n')
}

// AppendBulkHeader appends what stands before the text of a bulk string of n bytes: the text and CR LF have to follow.
// With it a long text can be sent from where it lies.
func AppendBulkHeader(dst []byte, n int) []byte { return appendNumber(dst, Bulk, int64(n)) }

// AppendNullBulk appends RESP2's null for a bulk string: there is none.
func AppendNullBulk(dst []byte) []byte { return append(dst, "$-1\r\n"...) }

// AppendArray appends the header of an array: n values have to follow.
func AppendArray(dst []byte, n int) []byte { return appendNumber(dst, Array, int64(n)) }

// AppendNullArray appends RESP2's null for an array.
func AppendNullArray(dst []byte) []byte { return append(dst, "*-1\r\n"...) }

// AppendNull appends RESP3's null.
func AppendNull(dst []byte) []byte { return append(dst, "_\r\n"...) }

// AppendMap appends the header of a map (RESP3): n keys, each with its value behind it, have to follow.
func AppendMap(dst []byte, n int) []byte { return appendNumber(dst, Map, int64(n)) }

// AppendSet appends the header of a set (RESP3): n values have to follow.
func AppendSet(dst []byte, n int) []byte { return appendNumber(dst, Set, int64(n)) }

// AppendPush appends the header of what was not asked for (RESP3): n values have to follow.
func AppendPush(dst []byte, n int) []byte { return appendNumber(dst, Push, int64(n)) }

// AppendBool appends a boolean (RESP3).
func AppendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, "#t\r\n"...)
	}
	return append(dst, "#f\r\n"...)
}

// AppendDouble appends a double (RESP3).
func AppendDouble(dst []byte, f float64) []byte {
	dst = append(dst, byte(Double))
	switch {
	case math.IsInf(f, 1):
		dst = append(dst, "inf"...)
	case math.IsInf(f, -1):
		dst = append(dst, "-inf"...)
	case math.IsNaN(f):
		dst = append(dst, "nan"...)
	default:
		dst = strconv.AppendFloat(dst, f, 'g', -1, 64)
	}
	return append(dst, '\r', '\n')
}
