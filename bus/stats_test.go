package bus

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestMetrics: each count of Stats is written once.
func TestMetrics(t *testing.T) {
	t.Parallel()
	var s Stats
	v := reflect.ValueOf(&s).Elem()
	for i := range v.NumField() {
		v.Field(i).SetInt(int64(1000 + i))
	}
	var b strings.Builder
	if n, err := s.WriteTo(&b); err != nil || n != int64(b.Len()) {
		t.Errorf("WriteTo: %d of %d, %v", n, b.Len(), err)
	}
	for i := range v.NumField() {
		if n := strings.Count(b.String(), fmt.Sprintf(" %d\n", v.Field(i).Int())); n != 1 {
			t.Errorf("%s is written %d times", v.Type().Field(i).Name, n)
		}
	}
	one := open(t, Options{})
	publish(t, one.Room("hall"), "x")
	b.Reset()
	if _, err := one.Stats().WriteTo(&b); err != nil || !strings.Contains(b.String(), "\nplexor_bus_ordered_total 1\n") {
		t.Errorf("after one message: %v\n%s", err, b.String())
	}
}
