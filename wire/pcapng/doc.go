// Package pcapng writes and reads captures in the format that Wireshark, tshark and tcpdump read
// (draft-ietf-opsawg-pcapng): packets of several interfaces with their names, times in nanoseconds, and comments on
// packets.
//
//	w := pcapng.NewWriter(file, pcapng.Section{Application: "plexor"})
//	eth, err := w.Interface(pcapng.Interface{Name: "client-eth0", LinkType: pcapng.Ethernet})
//	err = w.Packet(&pcapng.Packet{Interface: eth, Time: now, Data: frame, Comments: []string{"fault: duplicated"}})
//
//	for r := pcapng.NewReader(file); ; {
//		p, err := r.Next() // io.EOF at the end
//	}
//
// A file is a row of blocks, each with its length before and behind it:
//
//	0      4        8                n-4      n
//	| type | length | body, options… | length |
//
// A section header begins a section and says the order of its bytes; then come interface descriptions, numbered from 0
// in each section, and packets that name theirs. Blocks of other types are passed over.
//
// # Bounds
//
// A block is at most MaxBlock bytes, a section has at most MaxInterfaces interfaces, and a reader keeps one block: what
// a file says of its lengths costs no more. Only the buffer's growth allocates, and a packet's comments.
//
// # Concurrency
//
// A Writer or a Reader is used by one goroutine at a time.
package pcapng
