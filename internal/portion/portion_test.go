package portion

import (
	"flag"
	"testing"
)

func TestPortion(t *testing.T) {
	run := flag.Lookup("test.run").Value
	before := run.String()
	defer func() { _ = run.Set(before) }() // it was that before
	for _, row := range []struct {
		env, run        string
		all, everywhere bool
	}{
		{"", "", false, false}, {"", "TestX", false, false}, {"", "TestX/row", false, true}, {"some", "", false, false},
		{"all", "", true, true}, {"all", "TestX", true, true},
	} {
		t.Setenv(Env, row.env)
		if err := run.Set(row.run); err != nil {
			t.Fatal(err)
		}
		all, everywhere, few := row.all && !testing.Short(), row.everywhere, 2
		if testing.Short() && row.env == "all" {
			everywhere = false
		}
		if everywhere {
			few = 9
		}
		if All() != all || Everywhere() != everywhere || Fewer(9, 2) != few {
			t.Errorf("%+v: All is %v, Everywhere %v, Fewer %d", row, All(), Everywhere(), Fewer(9, 2))
		}
	}
	turns := make(map[int]int)
	for _, name := range []string{"TestA", "TestB", "TestC", "TestD", "TestE", "TestF", "TestG", "TestH"} {
		if n := Turn(name); n < 0 || n != Turn(name) {
			t.Errorf("%s has the turn %d", name, n)
		} else {
			turns[n%2]++
		}
	}
	if turns[0] == 0 || turns[1] == 0 {
		t.Errorf("all tests have the same turn: %v", turns)
	}
}
