// The program reads counted streams slowly with grpc-go and says what it found as a line of JSON.
// Its arguments are those that every reader of this folder takes: TARGET SEED STREAMS MESSAGES CANCELLED.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

const channels = 4

// raw leaves messages as they are on the wire.
type raw struct{}

var _ encoding.CodecV2 = raw{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*message.(*[]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, message any) error {
	*message.(*[]byte) = data.Materialize()
	return nil
}

func main() {
	target := os.Args[1]
	seed, streams, messages, cancelled := number(2), number(3), number(4), number(5)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	connections := make([]*grpc.ClientConn, channels)
	for i := range connections {
		// Sizes below 64 KiB are ignored; a size that is set also turns the adaptive window off.
		connection, err := grpc.NewClient(target,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithInitialWindowSize(int32(65_536+random.IntN(200_000))),
			grpc.WithInitialConnWindowSize(int32(65_536+random.IntN(400_000))),
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})))
		if err != nil {
			log.Fatal(err)
		}
		connections[i] = connection
	}
	var readers sync.WaitGroup
	var lock sync.Mutex
	total, wrong := 0, []string{}
	for stream := range streams + cancelled {
		stop := messages
		if stream >= streams {
			stop = 1 + random.IntN(messages-1)
		}
		own := rand.New(rand.NewPCG(uint64(seed), uint64(stream)))
		readers.Go(func() {
			err := read(connections[stream%channels], own, uint32(stream), messages, stop)
			lock.Lock()
			defer lock.Unlock()
			if err != nil {
				wrong = append(wrong, err.Error())
			} else {
				total += stop
			}
		})
	}
	readers.Wait()
	for _, connection := range connections {
		connection.Close()
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{"messages": total, "wrong": wrong})
}

// read takes stop messages of count and cancels when they are fewer.
func read(connection *grpc.ClientConn, random *rand.Rand, stream uint32, count, stop int) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	description := &grpc.StreamDesc{ServerStreams: true}
	call, err := connection.NewStream(ctx, description, "/tokenwire.test.Counting/Count")
	if err != nil {
		return fmt.Errorf("stream %d: %w", stream, err)
	}
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, stream), uint32(count))
	if err := call.SendMsg(&head); err != nil {
		return fmt.Errorf("stream %d: %w", stream, err)
	}
	if err := call.CloseSend(); err != nil {
		return fmt.Errorf("stream %d: %w", stream, err)
	}
	var message []byte
	for at := range stop {
		if err := call.RecvMsg(&message); err != nil {
			return fmt.Errorf("stream %d ended at %d: %w", stream, at, err)
		}
		if !isRight(message, stream, at) {
			return fmt.Errorf("stream %d has a wrong message at %d", stream, at)
		}
		if random.IntN(3_000) == 0 {
			time.Sleep(time.Duration(random.IntN(10_000)) * time.Microsecond)
		}
	}
	if stop < count {
		cancel()
		// What was received before may still come, and then the cancellation.
		for err == nil {
			err = call.RecvMsg(&message)
		}
		if status.Code(err) != codes.Canceled && err != io.EOF {
			return fmt.Errorf("stream %d was cancelled and ended with %w", stream, err)
		}
		return nil
	}
	if err := call.RecvMsg(&message); err != io.EOF {
		return fmt.Errorf("stream %d does not end: %v", stream, err)
	}
	return nil
}

func isRight(message []byte, stream uint32, number int) bool {
	return len(message) == 8+number%97 &&
		binary.BigEndian.Uint32(message) == stream &&
		binary.BigEndian.Uint32(message[4:]) == uint32(number) &&
		bytes.Count(message[8:], []byte{byte(number)}) == number%97
}

func number(at int) int {
	value, err := strconv.Atoi(os.Args[at])
	if err != nil {
		log.Fatal(err)
	}
	return value
}
