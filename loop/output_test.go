package loop

import "testing"

// A queue that never empties keeps no trace of the blocks that have gone.
func TestOutputForgetsWhatIsSent(t *testing.T) {
	var o output
	var pool blockPool
	piece := make([]byte, smallBlock)
	for range 4 {
		o.append(piece, &pool)
	}
	for range 100_000 { // always some waits
		o.append(piece, &pool)
		o.consume(smallBlock, &pool)
	}
	if o.size != 4*smallBlock {
		t.Errorf("size %d: want %d", o.size, 4*smallBlock)
	}
	if n := cap(o.blocks); n > 64 {
		t.Errorf("%d places for the blocks of 5: want at most 64", n)
	}
}
