// Package frametest checks a frame.Codec against the contract that decoders rely on.
//
// A codec of one's own is some forty lines, and a mistake in it loses bytes only when a frame is cut in the one
// place that nobody tried. [Run] tries all of them:
//
//	func TestCodec(t *testing.T) {
//		frametest.Run(t, frametest.Subject{
//			Codec:   tlv.Codec{Max: 200},
//			Wider:   tlv.Codec{Max: 400},
//			Message: func(r *rand.Rand, n int) []byte { … },
//		})
//	}
//
// It makes random messages of all sizes and checks that
//
//   - they come out as they went in, whatever pieces the stream arrives in: each cut at one byte, at two, one byte at
//     a time, at random, and by each way of decoding (pushed, step by step, left and gone on with, pulled);
//   - Scan keeps its word: it changes nothing, answers the same when it is asked again, does not look behind the
//     frame, asks for more as long as the frame is incomplete, and never for more than the frame has or MaxFrame
//     allows; what it answers does not depend on how much of the frame it has seen before, and Resume answers alike;
//   - no message above the maximum is sent, and none is taken, whether its length is announced or not;
//   - a decoder holds no more memory than the longest frame needs;
//   - a stream that ends inside a frame is told from one that ends behind one;
//   - noise, and good frames with some bits changed, give an error or messages, the same however they are cut, never a
//     panic, a message above the maximum, or more bytes than came in;
//   - Append leaves alone what it appends to, and refuses by an error that says which kind it is.
//
// [Check] is the part of it that takes a stream from outside, for fuzz targets:
//
//	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) { frametest.Check(t, subject, stream, seed) })
//
// The codecs of package frame are held by this suite too.
package frametest
