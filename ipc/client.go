package ipc

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// A Client is a connection to a [Manager]. All methods, and all those of what is opened with it, may be called by any
// goroutine and any coroutine, several at once: they share the connection, and none waits for another one.
//
// A call whose context ends takes back what it asked for and returns the cause; if it was done at the same moment, it
// succeeds. A manager that does not answer even that within five seconds is given up, and the connection closed.
type Client struct {
	s    *stream
	path string
	most int // the greatest size of a request

	mu      sync.Mutex
	next    uint64
	calls   map[uint64]*call
	watches map[uint64]*watch
	leading bool       // somebody reads
	follow  []*sleeper // those who wait for that to change, or for their own
	err     error      // why it is over
}

// A place is what somebody waits for: guarded by the client's mu.
type place struct {
	ready bool
	at    *sleeper // who follows
}

func (p *place) tell() {
	p.ready = true
	if p.at != nil {
		p.at.wake()
	}
}

// A call waits for its reply.
type call struct {
	place
	rp  reply
	err error
}

var calls = sync.Pool{New: func() any { return new(call) }}

// cancelTime is how long a manager may take to answer that a call is cancelled.
const cancelTime = 5 * time.Second

// DialManager connects to the manager at a path, with its token. Both sides prove that they know it; a wrong one is
// [ErrAuth].
func DialManager(ctx context.Context, path string, token []byte) (*Client, error) {
	op := "dial the manager on " + path
	nc, err := dial(ctx, op, "unix", path)
	if err != nil {
		return nil, failed(op, err)
	}
	s, err := newStream(nc, managerCodec(maxHello), 0)
	if err != nil {
		return nil, failed(op, err)
	}
	s.looks = mostLooks // as the manager's loop does
	c := &Client{s: s, path: path, calls: make(map[uint64]*call), watches: make(map[uint64]*watch)}
	if err := c.handshake(ctx, op, token); err != nil {
		_ = s.close() // err is the one to tell
		if err == io.EOF {
			err = fmt.Errorf("it hung up (ManagerOptions.MaxClients?): %w", io.ErrUnexpectedEOF)
		}
		return nil, failed(op, err)
	}
	return c, nil
}

func (c *Client) handshake(ctx context.Context, op string, token []byte) error {
	ctx, cancel := context.WithTimeoutCause(ctx, defaultHandshake,
		fmt.Errorf("the handshake took too long: %w", context.DeadlineExceeded))
	defer cancel()
	hello, err := c.s.next(ctx, op)
	if err != nil {
		return err
	}
	nonce, ok := bytes.CutPrefix(hello, []byte(greeting))
	if !ok || len(nonce) != nonceSize {
		return fmt.Errorf("%w: no greeting of a manager", ErrMalformed)
	}
	server := bytes.Clone(nonce)
	var mine [nonceSize]byte
	_, _ = rand.Read(mine[:]) // it never fails
	msg := append(mine[:], tokenProof(token, "client", server, mine[:])...)
	if err := c.s.send(ctx, op, binary.BigEndian.AppendUint32(nil, uint32(len(msg))), msg, nil); err != nil {
		return err
	}
	verdict, err := c.s.next(ctx, op)
	switch {
	case err != nil:
		return err
	case string(verdict) == verdictNo:
		return fmt.Errorf("%w: the manager said so", ErrAuth)
	}
	proof, ok := bytes.CutPrefix(verdict, []byte(verdictOK))
	if !ok || len(proof) < proofSize {
		return fmt.Errorf("%w: no verdict of a manager", ErrMalformed)
	}
	if !hmac.Equal(proof[:proofSize], tokenProof(token, "server", server, mine[:])) { // in constant time
		return fmt.Errorf("%w: it is not the manager that the token is for", ErrAuth)
	}
	most, n := binary.Uvarint(proof[proofSize:])
	if n <= 0 || most > maxManagerMessage {
		return fmt.Errorf("%w: no verdict of a manager", ErrMalformed)
	}
	c.most = int(most)
	return c.s.dec.Reset(managerCodec(c.most + replyOverhead))
}

// maxManagerMessage is the greatest ManagerOptions.MaxMessage, in bytes.
const maxManagerMessage = 1 << 30

// Close closes the connection: locks and units that this client has are released, and calls that wait fail with
// net.ErrClosed, as does a second Close.
func (c *Client) Close() error {
	err := c.s.close()
	c.fail(net.ErrClosed)
	return failed("close the client of "+c.path, err)
}

// Nobody reads replies but those who wait for one: whoever finds that nobody else does reads, hands out what is for
// others, and leaves when its own has come; then another one that waits goes on. So a call that is alone is answered
// without a switch between goroutines (25 µs in place of 40 for the setting of a key), and a client that waits for
// nothing has no goroutine. Replies to come are bounded by calls, and events by the manager.

// wait waits until p is ready, and takes that back. It reads meanwhile if nobody else does.
func (c *Client) wait(ctx context.Context, op string, p *place) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !p.ready {
		var err error
		if c.leading {
			err = c.followLocked(ctx, op, p)
		} else {
			err = c.leadLocked(ctx, op, p)
		}
		if err != nil && !p.ready {
			c.passLocked()
			return err
		}
	}
	p.ready = false
	c.passLocked()
	return nil
}

// passLocked has one that follows lead, if nobody does.
func (c *Client) passLocked() {
	if !c.leading && len(c.follow) > 0 {
		c.follow[0].wake()
	}
}

func (c *Client) followLocked(ctx context.Context, op string, p *place) error {
	s := newSleeper(task(ctx, op))
	p.at = s
	c.follow = append(c.follow, s)
	c.mu.Unlock()
	err := s.sleep(ctx, op)
	c.mu.Lock()
	p.at = nil
	c.follow = slices.DeleteFunc(c.follow, func(o *sleeper) bool { return o == s })
	return err
}

// leadLocked reads until p is ready.
func (c *Client) leadLocked(ctx context.Context, op string, p *place) error {
	c.leading = true
	defer func() { c.leading = false }()
	for !p.ready {
		c.mu.Unlock()
		id, rp, err := c.read(ctx, op)
		c.mu.Lock()
		switch {
		case err == nil:
			c.handLocked(id, rp)
		case c.s.bad == nil: // cancelled
			return err
		default:
			c.failLocked(err) // so that p is ready
			_ = c.s.nc.Close()
		}
	}
	return nil
}

func (c *Client) read(ctx context.Context, op string) (id uint64, rp reply, err error) {
	if err := c.s.receiving.enter(ctx, op); err != nil { // for those who close it
		return 0, rp, err
	}
	defer c.s.doneReceiving()
	msg, err := c.s.next(ctx, op)
	if err != nil {
		return 0, rp, err
	}
	if id, rp, err = readReply(bytes.Clone(msg)); err != nil {
		c.s.bad = err
	}
	return id, rp, err
}

func (c *Client) handLocked(id uint64, rp reply) {
	if rp.status >= statusEvent {
		if w := c.watches[id]; w != nil {
			w.event(rp)
		}
		return
	}
	if ca := c.calls[id]; ca != nil {
		delete(c.calls, id)
		ca.rp = rp
		ca.tell()
	}
}

// fail ends all that waits.
func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failLocked(err)
}

func (c *Client) failLocked(err error) {
	if c.s.closed.Load() {
		err = net.ErrClosed
	} else {
		err = fmt.Errorf("%w: %w", ErrGone, err)
	}
	if c.err != nil {
		return
	}
	c.err = err
	for id, ca := range c.calls {
		delete(c.calls, id)
		ca.err = err
		ca.tell()
	}
	for _, w := range c.watches {
		w.fail(err)
	}
}

// begin makes a call.
func (c *Client) begin(ca *call) (id uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	c.next++
	c.calls[c.next] = ca
	return c.next, nil
}

// drop forgets a call that was not sent.
func (c *Client) drop(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.calls, id)
}

// request sends a request.
func (c *Client) request(ctx context.Context, op string, id uint64, what byte, steps []step) error {
	if err := c.s.sending.enter(ctx, op); err != nil {
		return err
	}
	defer c.s.sending.leave()
	p := append(c.s.out[:0], 0, 0, 0, 0)
	p = binary.AppendUvarint(p, id)
	p = append(p, what)
	for i := range steps {
		p = steps[i].append(p)
		if len(p)-4 > c.most {
			return fmt.Errorf("%w: the request is longer than a message (ManagerOptions.MaxMessage is %d)", ErrLimit, c.most)
		}
	}
	binary.BigEndian.PutUint32(p, uint32(len(p)-4))
	if c.s.out = p; cap(p) > recvBuffer {
		c.s.out = nil // one long request does not keep its memory
	}
	err := c.s.send(ctx, op, p, nil, nil)
	if c.s.broken != nil {
		_ = c.s.nc.Close() // half a request is out: nothing more can be said; who reads says so to all
	}
	return err
}

// do makes a request and waits for its reply.
func (c *Client) do(ctx context.Context, op string, what byte, steps ...step) (reply, error) {
	rp, err := c.reply(ctx, op, what, steps)
	if err == nil && rp.status == statusError {
		err = codeError(rp.n, string(rp.item(0)))
	}
	if err != nil {
		return rp, &Error{op, err}
	}
	return rp, nil
}

func (c *Client) reply(ctx context.Context, op string, what byte, steps []step) (reply, error) {
	givenContext(op, ctx)
	ca := calls.Get().(*call)
	id, err := c.begin(ca)
	if err != nil {
		return reply{}, err
	}
	return c.finish(ctx, op, id, ca, what, steps)
}

// finish makes the request of a call that has begun.
func (c *Client) finish(ctx context.Context, op string, id uint64, ca *call, what byte, steps []step) (reply, error) {
	if err := c.request(ctx, op, id, what, steps); err != nil {
		c.drop(id)
		*ca = call{}
		calls.Put(ca)
		return reply{}, err
	}
	err := c.wait(ctx, op, &ca.place)
	if err != nil {
		cause := err
		_ = await(ctx, op, func(ctx context.Context) error { // the coroutine's own waits fail by now
			c.cancel(ctx, op, id, ca, cause)
			return nil
		})
	}
	rp, cerr := ca.rp, ca.err
	*ca = call{}
	calls.Put(ca)
	if cerr != nil {
		return reply{}, cerr
	}
	if rp.status == statusError && rp.n == codeCancelled && err != nil {
		return reply{}, err
	}
	return rp, nil
}

// cancel takes a call back, and waits for its reply, which is that it was cancelled, or that it came too late for that.
func (c *Client) cancel(ctx context.Context, op string, id uint64, ca *call, cause error) {
	short, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer stop()
	if err := c.request(short, op, id, kindCancel, nil); err == nil && c.wait(short, op, &ca.place) == nil {
		return
	}
	c.fail(fmt.Errorf("it did not answer within %v", cancelTime))
	_ = c.s.nc.Close() // nobody may take replies for those of other calls
	if ca.err != nil {
		ca.err = fmt.Errorf("%w: %w", cause, ca.err)
	}
}

// codeError is the error that a code stands for.
func codeError(code int64, text string) error {
	var err error
	switch code {
	case codeMalformed:
		err = ErrMalformed
	case codeKind:
		err = ErrKind
	case codeBound, codeBusy:
		err = ErrLimit
	case codeIndex:
		err = ErrIndex
	case codeNotHeld:
		err = ErrNotHeld
	case codeBarrier:
		err = ErrBarrierBroken
	case codeInUse:
		err = ErrInUse
	case codeCancelled:
		err = context.Canceled
	default:
		return fmt.Errorf("code %d: %s", code, text)
	}
	return fmt.Errorf("%w: %s", err, text)
}

// Do does all steps or none, as one: nobody sees some of them done, and nothing comes in between. Steps are made by
// methods of what is opened: those that ask ([Map.Is], [Value.Lacks], [Lock.Holds], …) and those that change
// ([Map.Setting], [Counter.Adding], …). All that ask are looked at first, before any change, in whatever order they
// were given. If one is not so, nothing is done, and Do returns false.
func (c *Client) Do(ctx context.Context, steps ...Step) (bool, error) {
	const op = "do steps"
	if len(steps) > maxSteps {
		return false, &Error{op, fmt.Errorf("%w: %d steps, %d are the most", ErrLimit, len(steps), maxSteps)}
	}
	raw := make([]step, len(steps))
	for i, s := range steps {
		if s.err != nil {
			return false, &Error{op, s.err}
		}
		raw[i] = s.step
	}
	rp, err := c.do(ctx, op, kindBatch, raw...)
	return rp.status == statusOK && err == nil, err
}

// A Step is a part of what [Client.Do] does. It holds copies of what it was made of.
type Step struct {
	step step
	err  error // it could not be encoded
}

// Remove removes a name and what it stands for; false means that there is none. What is held, waited for or watched
// can't be removed ([ErrInUse]).
func (c *Client) Remove(ctx context.Context, name string) (bool, error) {
	rp, err := c.do(ctx, "remove "+name, kindCall, step{op: opRemove, name: name})
	return rp.status == statusOK && err == nil, err
}
