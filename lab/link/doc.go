// Package link is what is between two hosts: cards, cables, and what goes wrong on cables. It has no clock, no
// goroutine and no generator of its own: frames and a time go in, frames and the time of the next come out. So a run
// with the same times, frames and random numbers is the same run.
//
// A [Line] carries frames in one direction. The simplest is a [Wire], which only takes time; everything else is a
// wrapper round a line, which a frame passes on its way in:
//
//	line := link.Wire(20 * time.Millisecond)
//	line = link.Rate(line, link.RateOptions{Bits: 10e6, Queue: 64 << 10})   // a slow line, and the queue before it
//	line = link.Loss(line, 0.01, random)                                    // one frame of a hundred
//
// Each wrapper that needs chance has a stream of random numbers of its own, so that a second fault changes nothing in
// what the first one does. [New] builds a line with everything in the usual order from [Options].
//
// A [Card] sends into one line and receives from another; [Connect] makes two cards and both lines into a cable.
//
// # Who owns a frame
//
// Put takes a frame for good, Take gives one for good: nobody keeps what was put. Frames come from a [Pool] and go
// back to it, so that a line at work allocates nothing; those that a fault swallows go back by themselves.
package link
