package web

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"mime"
	"path"
	"strconv"
	"strings"
	"sync"
)

// beside are the encodings of files that stand beside others, best first.
var beside = [...]struct{ ending, encoding string }{{".br", "br"}, {".zst", "zstd"}, {".gz", "gzip"}}

// beside is the file beside f that the client likes best, or nil for f itself. Among those that it likes as much the
// one with the best encoding is taken.
func (s *files) beside(f *file, accept []string) *file {
	if len(accept) == 0 {
		return nil
	}
	likes := qualities(accept)
	var best *file
	bestQ := 0
	for _, b := range beside {
		q, named := likes[b.encoding]
		if !named {
			q = likes["*"]
		}
		if q == 0 || q <= bestQ {
			continue
		}
		other, err := s.openFile(f.name + b.ending)
		if err != nil {
			continue // most often there is none; f itself is served where it can't be had
		}
		if other.info.IsDir() {
			_ = other.Close() // nothing was read
			continue
		}
		if best != nil {
			_ = best.Close() // likewise
		}
		other.encoding, best, bestQ = b.encoding, other, q
	}
	return best
}

// mostCodings bounds how many of a client's list are looked at.
const mostCodings = 32

// qualities are what a client says of codings, in thousandths (RFC 9110, section 12.4.2).
func qualities(values []string) map[string]int {
	likes := make(map[string]int)
	for _, v := range values {
		for one := range strings.SplitSeq(v, ",") {
			if len(likes) == mostCodings {
				return likes
			}
			coding, params, _ := strings.Cut(one, ";")
			coding = strings.ToLower(strings.Trim(coding, " \t"))
			if coding == "x-gzip" {
				coding = "gzip"
			}
			if coding != "" {
				likes[coding] = quality(params)
			}
		}
	}
	return likes
}

func quality(params string) int {
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.Trim(p, " \t"), "=")
		if !strings.EqualFold(name, "q") {
			continue
		}
		q, err := strconv.ParseFloat(value, 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return int(q * 1000)
	}
	return 1000
}

// typeByName is the media type of a name's ending; "" if nobody knows it.
func typeByName(name string) string { return mime.TypeByExtension(path.Ext(name)) }

// tag is a file's strong entity tag.
func (s *files) tag(f *file) string {
	at := f.info.ModTime()
	if noTime(at) {
		return s.hashes.tag(f)
	}
	tag := `"` + strconv.FormatInt(at.UnixNano(), 36) + "-" + strconv.FormatInt(f.info.Size(), 36)
	if f.encoding != "" {
		tag += "-" + f.encoding
	}
	return tag + `"`
}

// hashes are the tags of files that have no time, and so do not change.
type hashes struct {
	mu   sync.Mutex
	tags map[string]string
}

const (
	// mostHashes bounds how many tags are kept; those of more files are made anew each time.
	mostHashes = 4096
	// mostHashed is up to which size, in bytes, a file has a tag.
	mostHashed = 64 << 20
)

func (k *hashes) tag(f *file) string {
	at, seeks := f.File.(io.Seeker)
	if !seeks || f.info.Size() > mostHashed {
		return ""
	}
	k.mu.Lock()
	tag := k.tags[f.name+f.encoding]
	k.mu.Unlock()
	if tag != "" {
		return tag
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f.File); err != nil {
		return ""
	}
	if _, err := at.Seek(0, io.SeekStart); err != nil {
		return ""
	}
	tag = `"` + hex.EncodeToString(sum.Sum(nil)[:16]) + `"`
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.tags == nil {
		k.tags = make(map[string]string)
	}
	if len(k.tags) < mostHashes {
		k.tags[f.name+f.encoding] = tag
	}
	return tag
}
