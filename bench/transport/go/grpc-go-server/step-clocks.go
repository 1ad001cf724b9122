package main

import (
	"sync"
	"sync/atomic"
	"time"
)

// stepClock is a clock that all streams share. It holds the channel that its next step closes.
type stepClock struct {
	atomic.Pointer[chan struct{}]
	streams int
	unused  chan struct{}
}

// stepClocks are the clocks of a server, one for each length of a step that a stream wants now.
type stepClocks struct {
	lock   sync.Mutex
	clocks map[uint32]*stepClock
}

// join answers the clock; leave has to follow.
func (all *stepClocks) join(stepMs uint32) *stepClock {
	all.lock.Lock()
	defer all.lock.Unlock()
	clock := all.clocks[stepMs]
	if clock == nil {
		clock = &stepClock{unused: make(chan struct{})}
		first := make(chan struct{})
		clock.Store(&first)
		all.clocks[stepMs] = clock
		go clock.run(time.Duration(stepMs) * time.Millisecond)
	}
	clock.streams++
	return clock
}

func (all *stepClocks) leave(stepMs uint32) {
	all.lock.Lock()
	defer all.lock.Unlock()
	clock := all.clocks[stepMs]
	clock.streams--
	if clock.streams == 0 {
		delete(all.clocks, stepMs)
		close(clock.unused)
	}
}

func (clock *stepClock) run(step time.Duration) {
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			following := make(chan struct{})
			close(*clock.Swap(&following))
		case <-clock.unused:
			return
		}
	}
}
