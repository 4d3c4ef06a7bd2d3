package histories

import (
	"fmt"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// An input is an operation on one key. Each write of a run has a value of its own, so that a version is known by its
// value: a swap expects one.
type input struct {
	what, key    string // get, set, add, swap, delete
	value, under string // what is written; the value that a swap expects
}

// An output is what it returned. A get has the value, "" for none; an add or a swap says whether it was done.
type output struct {
	value   string
	done    bool
	unknown bool // it failed, so it may have been done or not, and may yet be: such an operation lasts to the end
}

// register is a key as it should be: its state is its value, "" for none.
var register = porcupine.Model{
	Init: func() any { return "" },
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		at := make(map[string]int)
		for _, o := range history {
			key := o.Input.(input).key
			i, ok := at[key]
			if !ok {
				i = len(parts)
				at[key] = i
				parts = append(parts, nil)
			}
			parts[i] = append(parts[i], o)
		}
		return parts
	},
	Step: func(state, in, out any) (bool, any) {
		has, i, o := state.(string), in.(input), out.(output)
		can := i.what == "add" && has == "" || i.what == "swap" && has == i.under
		switch {
		case i.what == "get":
			return o.unknown || o.value == has, has
		case i.what == "set":
			return true, i.value
		case i.what == "delete":
			return true, ""
		case can && (o.unknown || o.done):
			return true, i.value
		default: // an add of what is there, a swap of what was changed
			return o.unknown || !can && !o.done, has
		}
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v: %+v", in, out) },
}

// TestModel: the model takes what a register may do, and refuses what it may not.
func TestModel(t *testing.T) {
	set := func(v string) input { return input{what: "set", value: v} }
	get, del := input{what: "get"}, input{what: "delete"}
	add := func(v string) input { return input{what: "add", value: v} }
	swap := func(under, v string) input { return input{what: "swap", value: v, under: under} }
	type op struct {
		in   input
		out  output
		from int64
		to   int64
	}
	for _, row := range []struct {
		name string
		ops  []op
		ok   bool
	}{
		{"a value is read", []op{{set("a"), output{}, 0, 1}, {get, output{value: "a"}, 2, 3}}, true},
		{"an old value is read", []op{{set("a"), output{}, 0, 1}, {set("b"), output{}, 2, 3},
			{get, output{value: "a"}, 4, 5}}, false},
		{"one set takes place twice", []op{{set("a"), output{}, 0, 9}, {get, output{value: "a"}, 1, 2},
			{set("b"), output{}, 3, 4}, {get, output{value: "b"}, 5, 6}, {get, output{value: "a"}, 7, 8}}, false},
		{"a failed set is seen late", []op{{set("a"), output{unknown: true}, 0, 99}, {get, output{}, 1, 2},
			{get, output{value: "a"}, 3, 4}}, true},
		{"a failed set comes and goes", []op{{set("a"), output{unknown: true}, 0, 99}, {get, output{value: "a"}, 1, 2},
			{get, output{}, 3, 4}}, false},
		{"two adds", []op{{add("a"), output{done: true}, 0, 5}, {add("b"), output{done: true}, 1, 4}}, false},
		{"two swaps", []op{{set("a"), output{}, 0, 1}, {swap("a", "b"), output{done: true}, 2, 9},
			{swap("a", "c"), output{done: true}, 2, 9}}, false},
		{"a swap, refused", []op{{set("a"), output{}, 0, 1}, {swap("x", "b"), output{}, 2, 3},
			{get, output{value: "a"}, 4, 5}}, true},
		{"a swap that could be, refused", []op{{set("a"), output{}, 0, 1}, {swap("a", "b"), output{}, 2, 3}}, false},
		{"deleted", []op{{set("a"), output{}, 0, 1}, {del, output{}, 2, 3}, {add("b"), output{done: true}, 4, 5}}, true},
		{"not deleted", []op{{set("a"), output{}, 0, 1}, {del, output{}, 2, 3}, {get, output{value: "a"}, 4, 5}}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			var history []porcupine.Operation
			for i, o := range row.ops {
				history = append(history, porcupine.Operation{ClientId: i, Input: o.in, Output: o.out, Call: o.from,
					Return: o.to})
			}
			want := porcupine.Illegal
			if row.ok {
				want = porcupine.Ok
			}
			if got := porcupine.CheckOperationsTimeout(register, history, time.Minute); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}
