package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"
	"tokenwire/bench/transport/pb"
)

const (
	frameHeaderBytes = 9
	prefixBytes      = 5
	checkPath        = "/grpc.health.v1.Health/Check"
	generatePath     = "/tokenwire.bench.Tokens/Generate"
	streamWindow     = 1 << 30
	connectionWindow = 1 << 30
	readBytes        = 256 << 10
)

// startFrames opens the connections; each keeps o.streams calls in flight once all of them stand. Streams that begin while
// others are still being connected would differ in their phase, by how long a server takes to accept, and paced by a timer
// each they would keep that difference.
func startFrames(o options) error {
	path, message, answers := checkPath, []byte(nil), 1
	if o.messages > 0 {
		encoded, err := proto.Marshal(&pb.GenerateRequest{Messages: uint32(o.messages), IntervalMs: uint32(o.intervalMs), StepMs: uint32(o.stepMs)})
		if err != nil {
			return err
		}
		path, message, answers = generatePath, encoded, o.messages
	}
	standing := &sync.WaitGroup{}
	standing.Add(o.connections)
	body := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	for range o.connections {
		socket, err := o.connect()
		if err != nil {
			return err
		}
		peer := &framesPeer{o: o, socket: socket, body: body, answers: answers, nextID: 1, calls: map[uint32]*answer{}, standing: standing}
		peer.blocks = hpack.NewEncoder(&peer.block)
		peer.path = path
		go func() { o.fail(peer.run()) }()
	}
	return nil
}

func (o options) connect() (net.Conn, error) {
	if o.certificate == "" {
		return net.Dial("tcp", o.address)
	}
	pem, err := os.ReadFile(o.certificate)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return tls.Dial("tcp", o.address, &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{"h2"}})
}

// framesPeer is one connection. What one read brings is answered with one write, so that the client costs little.
type framesPeer struct {
	o       options
	socket  net.Conn
	path    string
	body    []byte
	answers int
	nextID  uint32
	calls   map[uint32]*answer
	free    []*answer
	block   bytes.Buffer
	blocks  *hpack.Encoder
	// The field block from the second call on, when it is all indices.
	indexed  []byte
	out      []byte
	credit   int
	messages int64
	// Until all connections stand this one makes no calls.
	standing *sync.WaitGroup
	stands   bool
}

// answer is how far a call's answer has come: messages so far, and the rest of the present one.
type answer struct {
	messages int
	left     int
	prefix   [prefixBytes]byte
	prefixed int
}

func (peer *framesPeer) run() error {
	peer.out = append(peer.out, http2.ClientPreface...)
	peer.header(6, http2.FrameSettings, 0, 0)
	peer.out = binary.BigEndian.AppendUint16(peer.out, uint16(http2.SettingInitialWindowSize))
	peer.out = binary.BigEndian.AppendUint32(peer.out, streamWindow)
	peer.windowUpdate(connectionWindow)
	buffer := make([]byte, 0, readBytes)
	for {
		if _, err := peer.socket.Write(peer.out); err != nil {
			return err
		}
		peer.out = peer.out[:0]
		read, err := peer.socket.Read(buffer[len(buffer):cap(buffer)])
		if err != nil {
			return err
		}
		buffer = buffer[:len(buffer)+read]
		used, err := peer.frames(buffer)
		if err != nil {
			return err
		}
		buffer = buffer[:copy(buffer, buffer[used:])]
		if peer.stands && peer.nextID == 1 {
			peer.standing.Done()
			peer.standing.Wait()
			for range peer.o.streams {
				peer.call()
			}
		}
		if peer.credit >= connectionWindow/4 {
			peer.windowUpdate(uint32(peer.credit))
			peer.credit = 0
		}
		peer.o.operations.Add(peer.messages)
		peer.messages = 0
	}
}

// call begins another call. The first field block puts its fields into the table, later ones name them.
func (peer *framesPeer) call() {
	block := peer.indexed
	if block == nil {
		peer.block.Reset()
		for _, field := range []hpack.HeaderField{
			{Name: ":method", Value: "POST"},
			{Name: ":scheme", Value: "http"},
			{Name: ":path", Value: peer.path},
			{Name: ":authority", Value: "localhost"},
			{Name: "content-type", Value: "application/grpc"},
			{Name: "te", Value: "trailers"},
		} {
			_ = peer.blocks.WriteField(field) // a bytes.Buffer takes everything
		}
		block = peer.block.Bytes()
		if peer.nextID > 1 {
			peer.indexed = bytes.Clone(block)
		}
	}
	id := peer.nextID
	peer.nextID += 2
	peer.header(len(block), http2.FrameHeaders, http2.FlagHeadersEndHeaders, id)
	peer.out = append(peer.out, block...)
	peer.header(len(peer.body), http2.FrameData, http2.FlagDataEndStream, id)
	peer.out = append(peer.out, peer.body...)
	call := &answer{}
	if last := len(peer.free) - 1; last >= 0 {
		call, peer.free = peer.free[last], peer.free[:last]
		*call = answer{}
	}
	peer.calls[id] = call
}

// frames takes the frames that are whole and answers how many bytes they have.
func (peer *framesPeer) frames(buffer []byte) (int, error) {
	at := 0
	for len(buffer)-at >= frameHeaderBytes {
		length := int(buffer[at])<<16 | int(buffer[at+1])<<8 | int(buffer[at+2])
		if len(buffer)-at < frameHeaderBytes+length {
			break
		}
		kind, flags := http2.FrameType(buffer[at+3]), http2.Flags(buffer[at+4])
		id := binary.BigEndian.Uint32(buffer[at+5:])
		at += frameHeaderBytes
		if err := peer.frame(kind, flags, id, buffer[at:at+length]); err != nil {
			return at, err
		}
		at += length
	}
	return at, nil
}

func (peer *framesPeer) frame(kind http2.FrameType, flags http2.Flags, id uint32, payload []byte) error {
	switch kind {
	case http2.FrameSettings:
		if !flags.Has(http2.FlagSettingsAck) {
			peer.stands = true
			peer.header(0, http2.FrameSettings, http2.FlagSettingsAck, 0)
		}
	case http2.FramePing:
		if !flags.Has(http2.FlagPingAck) {
			peer.header(len(payload), http2.FramePing, http2.FlagPingAck, 0)
			peer.out = append(peer.out, payload...)
		}
	case http2.FrameGoAway:
		return fmt.Errorf("the server sent GOAWAY %x", payload)
	case http2.FrameRSTStream:
		return fmt.Errorf("the server reset a stream: %x", payload)
	case http2.FrameData:
		peer.credit += len(payload)
		call := peer.calls[id]
		if call == nil {
			return errors.New("DATA for no call")
		}
		peer.messages += int64(call.take(payload))
	}
	if (kind == http2.FrameData || kind == http2.FrameHeaders) && flags.Has(http2.FlagDataEndStream) {
		call := peer.calls[id]
		if call == nil || call.messages != peer.answers || call.left > 0 || call.prefixed > 0 {
			return errors.New("an answer ended that is not whole: has the server refused the call?")
		}
		delete(peer.calls, id)
		peer.free = append(peer.free, call)
		peer.call()
	}
	return nil
}

// take counts the messages that end in this content.
func (call *answer) take(content []byte) int {
	ended := 0
	for len(content) > 0 {
		if call.left > 0 {
			skipped := min(call.left, len(content))
			call.left -= skipped
			content = content[skipped:]
		} else {
			copied := copy(call.prefix[call.prefixed:], content)
			call.prefixed += copied
			content = content[copied:]
			if call.prefixed < prefixBytes {
				continue
			}
			call.prefixed = 0
			call.left = int(binary.BigEndian.Uint32(call.prefix[1:]))
		}
		if call.left == 0 {
			ended++
		}
	}
	call.messages += ended
	return ended
}

func (peer *framesPeer) header(length int, kind http2.FrameType, flags http2.Flags, id uint32) {
	peer.out = append(peer.out, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags))
	peer.out = binary.BigEndian.AppendUint32(peer.out, id)
}

func (peer *framesPeer) windowUpdate(increment uint32) {
	peer.header(4, http2.FrameWindowUpdate, 0, 0)
	peer.out = binary.BigEndian.AppendUint32(peer.out, increment)
}
