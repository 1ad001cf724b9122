package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

type status = healthpb.HealthCheckResponse_ServingStatus

// watcher is one Watch stream. The first status is not a change and is not counted.
type watcher struct {
	changes atomic.Int64
	last    atomic.Int32
}

// fleet is all the watchers. Every change of the server's status is expected to reach each of them once.
type fleet struct {
	watchers    []watcher
	connections []*grpc.ClientConn
	stop        context.CancelFunc

	// expected is the number of changes that a watcher has heard when it has heard them all.
	expected  atomic.Int64
	waiting   atomic.Int64
	lastHeard chan time.Time
	broken    chan error
}

// Streams that are being opened at once. Enough to keep a server busy, few enough to not measure its backlog.
const opening = 200

// openFleet opens count streams, an equal share on each connection, and returns when each has its first status.
func openFleet(address string, count, connections int) (*fleet, error) {
	ctx, cancel := context.WithCancel(context.Background())
	f := &fleet{
		watchers:  make([]watcher, count),
		stop:      cancel,
		lastHeard: make(chan time.Time, 1),
		broken:    make(chan error, count),
	}
	for range connections {
		connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			f.close()
			return nil, err
		}
		f.connections = append(f.connections, connection)
	}
	slots := make(chan struct{}, opening)
	opened := make(chan struct{}, count)
	go func() {
		for i := range f.watchers {
			slots <- struct{}{}
			go f.watch(ctx, &f.watchers[i], f.connections[i%connections], func() {
				<-slots
				opened <- struct{}{}
			})
		}
	}()
	for range count {
		select {
		case <-opened:
		case err := <-f.broken:
			f.close()
			return nil, err
		}
	}
	return f, nil
}

// watch reads one stream to its end, which comes with the fleet's end or is an error.
func (f *fleet) watch(ctx context.Context, w *watcher, connection *grpc.ClientConn, opened func()) {
	err := func() error {
		stream, err := healthpb.NewHealthClient(connection).Watch(ctx, &healthpb.HealthCheckRequest{})
		if err != nil {
			return err
		}
		first, err := stream.Recv()
		if err != nil {
			return err
		}
		if first.Status != healthpb.HealthCheckResponse_SERVING {
			return fmt.Errorf("the first status is %v", first.Status)
		}
		w.last.Store(int32(first.Status))
		opened()
		for {
			response, err := stream.Recv()
			if err != nil {
				return err
			}
			w.last.Store(int32(response.Status))
			if w.changes.Add(1) == f.expected.Load() && f.waiting.Add(-1) == 0 {
				f.lastHeard <- time.Now()
			}
		}
	}()
	if ctx.Err() == nil {
		f.broken <- fmt.Errorf("a Watch stream ended: %w", err)
	}
}

// expect is called before a change; untilHeard then waits for its last watcher.
func (f *fleet) expect() {
	f.waiting.Store(int64(len(f.watchers)))
	f.expected.Add(1)
}

// untilHeard answers when the last watcher heard the change, or why not all have.
func (f *fleet) untilHeard(limit time.Duration) (time.Time, error) {
	select {
	case at := <-f.lastHeard:
		return at, nil
	case err := <-f.broken:
		return time.Now(), err
	case <-time.After(limit):
		return time.Now(), fmt.Errorf("%d watchers had not heard the change after %v", f.waiting.Load(), limit)
	}
}

// tally sorts the watchers by how the latest change reached them. A watcher is in one of the first three, and in Wrong
// also when its last status is not the one that holds.
type tally struct {
	Once     int `json:"once"`
	Missed   int `json:"missed"`
	Repeated int `json:"repeated"`
	Wrong    int `json:"wrong"`
}

func (f *fleet) tally(holds status) tally {
	var t tally
	expected := f.expected.Load()
	for i := range f.watchers {
		switch heard := f.watchers[i].changes.Load(); {
		case heard == expected:
			t.Once++
		case heard < expected:
			t.Missed++
		default:
			t.Repeated++
		}
		if status(f.watchers[i].last.Load()) != holds {
			t.Wrong++
		}
	}
	return t
}

func (t tally) good() bool { return t.Missed == 0 && t.Repeated == 0 && t.Wrong == 0 }

func (f *fleet) close() {
	f.stop()
	for _, connection := range f.connections {
		_ = connection.Close()
	}
}
