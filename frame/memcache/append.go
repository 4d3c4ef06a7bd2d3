package memcache

import (
	"strconv"

	"github.com/plexor-go/plexor/frame"
)

// AppendLine appends a line of words: a request without data, or a reply. It needs at least one word. A word that would
// not arrive as one (it is empty, or has a blank or a control character in it, as a key from a user may have) is an
// error that wraps frame.ErrMalformed, and dst comes back unchanged.
func AppendLine[T []byte | string](dst []byte, words ...T) ([]byte, error) {
	out, err := appendLine(dst, words)
	if err != nil {
		return dst, err
	}
	return append(out, '\r', '\n'), nil
}

func appendLine[T []byte | string](dst []byte, words []T) ([]byte, error) {
	if len(words) == 0 {
		return dst, refuse("a line has at least one word")
	}
	for i, w := range words {
		if len(w) == 0 {
			return dst, refuse("a word of a line is empty")
		}
		for j := range len(w) {
			if b := w[j]; b <= ' ' || b == 0x7f {
				return dst, refuse("there is " + strconv.QuoteRune(rune(b)) + " in a word of a line")
			}
		}
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, w...)
	}
	return dst, nil
}

func refuse(reason string) error {
	return &frame.Error{Codec: "memcache", Offset: -1, Err: frame.ErrMalformed, Reason: reason}
}

// appendBlock appends the rest of a line, which is the length of data and words, and data behind it.
func appendBlock(dst, data []byte, words []string) ([]byte, error) {
	dst = strconv.AppendInt(append(dst, ' '), int64(len(data)), 10)
	if len(words) > 0 {
		var err error
		if dst, err = appendLine(append(dst, ' '), words); err != nil {
			return nil, err
		}
	}
	dst = append(dst, '\r', '\n')
	return append(append(dst, data...), '\r', '\n'), nil
}

// orUnchanged is out, or dst with the error.
func orUnchanged(dst, out []byte, err error) ([]byte, error) {
	if err != nil {
		return dst, err
	}
	return out, nil
}

// AppendStore appends a request that stores: name is set, add, replace, append, prepend or cas. Expires is in seconds
// from now up to 30 days, a Unix time beyond, 0 for never. more are the words behind the length: the unique number of
// cas, noreply. Words are refused as by AppendLine.
func AppendStore(dst []byte, name, key string, flags uint32, expires int64, data []byte,
	more ...string) ([]byte, error) {
	if place, ok := lengthOf([]byte(name)); !ok || place != 4 {
		return dst, refuse(strconv.Quote(name) + " is none of set, add, replace, append, prepend and cas")
	}
	out, err := appendLine(dst, []string{name, key})
	if err != nil {
		return dst, err
	}
	out = strconv.AppendUint(append(out, ' '), uint64(flags), 10)
	out = strconv.AppendInt(append(out, ' '), expires, 10)
	out, err = appendBlock(out, data, more)
	return orUnchanged(dst, out, err)
}

// AppendMetaSet appends a request ms. Words are refused as by AppendLine.
func AppendMetaSet(dst []byte, key string, data []byte, flags ...string) ([]byte, error) {
	out, err := appendLine(dst, []string{"ms", key})
	if err != nil {
		return dst, err
	}
	out, err = appendBlock(out, data, flags)
	return orUnchanged(dst, out, err)
}

// AppendValue appends an item of the reply to get: END has to follow behind the last one. more is the unique number
// that gets wants. Words are refused as by AppendLine.
func AppendValue[T []byte | string](dst []byte, key T, flags uint32, data []byte, more ...string) ([]byte, error) {
	out, err := appendLine(append(dst, "VALUE "...), []T{key})
	if err != nil {
		return dst, err
	}
	out = strconv.AppendUint(append(out, ' '), uint64(flags), 10)
	out, err = appendBlock(out, data, more)
	return orUnchanged(dst, out, err)
}

// AppendMetaValue appends the reply VA to mg. Words are refused as by AppendLine.
func AppendMetaValue(dst, data []byte, flags ...string) ([]byte, error) {
	out, err := appendBlock(append(dst, "VA"...), data, flags)
	return orUnchanged(dst, out, err)
}

// AppendClientError appends the line CLIENT_ERROR with its text: the request was wrong. Control characters in text
// become blanks.
func AppendClientError(dst []byte, text string) []byte { return appendText(dst, "CLIENT_ERROR ", text) }

// AppendServerError appends the line SERVER_ERROR with its text. Control characters in text become blanks.
func AppendServerError(dst []byte, text string) []byte { return appendText(dst, "SERVER_ERROR ", text) }

func appendText(dst []byte, name, text string) []byte {
	dst = append(dst, name...)
	from := len(dst)
	dst = append(dst, text...)
	for i, b := range dst[from:] {
		if b < ' ' || b == 0x7f {
			dst[from+i] = ' '
		}
	}
	return append(dst, '\r', '\n')
}
