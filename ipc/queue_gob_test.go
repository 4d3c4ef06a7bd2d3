package ipc

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"reflect"
	"testing"
)

type gobJob struct {
	Name  string
	Parts []int
	Any   any
}

func init() {
	gob.Register(point{})
	gob.Register(map[string]int{})
}

// What is inside an interface brings its own description, another one each time.
var gobJobs = []gobJob{{}, {Name: "a"}, {"b", []int{1, 2}, point{1, 2, "p"}}, {"c", nil, "text"},
	{"d", nil, map[string]int{"x": 1}},
	{"e", []int{3}, point{3, 4, "q"}}, {}}

// A kept decoder gives what a new one would, whatever came before.
func TestQueueGob(t *testing.T) {
	q := newQueueGob[gobJob]()
	for range 3 {
		for _, want := range gobJobs {
			b, err := q.Encode(want)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := q.Decode(b); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
			if _, err := q.Decode(b[:len(b)-1]); err == nil {
				t.Error("it decoded a value without its end")
			}
			if _, err := q.Decode(append(bytes.Clone(b), 0)); err == nil {
				t.Error("it decoded a value with something behind")
			}
		}
	}
}

// FuzzQueueGob: an item that is a value to a new decoder is the same to a kept one. (What refers to a description that
// only an item before it had is an error to a new one alone.)
func FuzzQueueGob(f *testing.F) {
	q := newQueueGob[gobJob]()
	for _, j := range gobJobs {
		b, err := q.Encode(j)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fresh, wantErr := newQueueGob[gobJob]().Decode(b)
		for range 2 {
			got, err := q.Decode(b)
			if wantErr == nil && (err != nil || fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", fresh)) {
				t.Fatalf("got %+v, %v; a new decoder %+v, %v", got, err, fresh, wantErr)
			}
		}
	})
}

func BenchmarkQueueGob(b *testing.B) {
	q := newQueueGob[gobJob]()
	p, err := q.Encode(gobJob{Name: "name", Parts: []int{1, 2, 3}})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := q.Decode(p); err != nil {
			b.Fatal(err)
		}
	}
}
