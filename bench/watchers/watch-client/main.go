// Command watch-client opens many Watch streams of grpc.health.v1.Health, has the server change its status by SIGUSR2,
// and prints one object of JSON: how long until the last stream had heard it, what the server's process spent on it,
// how its resident memory grew, and whether every stream heard every change exactly once.
//
// The server must run on this machine, begin SERVING, and turn to the other status at each signal. The exit status is
// not 0 only when nothing could be measured; a change that was missed is in the figures.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"syscall"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

type change struct {
	NotifyMs    float64 `json:"notifyMs"`
	ServerCPUMs float64 `json:"serverCpuMs"`
	ClientCPUMs float64 `json:"clientCpuMs"`
	Tally       tally   `json:"tally"`
	Problem     string  `json:"problem,omitempty"`
}

type result struct {
	// The server's resident memory with no stream open, after it had some, and with all open.
	IdleRSSKiB int      `json:"idleRssKiB"`
	OpenRSSKiB int      `json:"openRssKiB"`
	OpenMs     float64  `json:"openMs"`
	Changes    []change `json:"changes"`
}

func main() {
	address := flag.String("address", "", "host:port of the server")
	pid := flag.Int("pid", 0, "process id of the server")
	watchers := flag.Int("watchers", 10_000, "Watch streams to open")
	connections := flag.Int("connections", 100, "connections to open them on")
	changes := flag.Int("changes", 5, "status changes, one after the other")
	limit := flag.Duration("limit", 30*time.Second, "how long to wait for the last watcher")
	flag.Parse()
	if *address == "" || *pid <= 0 || *watchers < 1 || *connections < 1 || *changes < 1 {
		flag.Usage()
		os.Exit(2)
	}
	measured, err := measure(*address, process(*pid), *watchers, *connections, *changes, *limit)
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(measured); err != nil {
		log.Fatal(err)
	}
}

func measure(address string, server process, watchers, connections, changes int, limit time.Duration) (result, error) {
	var measured result
	// What a server loads for its first stream belongs to no watcher.
	warm, err := openFleet(address, min(watchers, 100), 1)
	if err != nil {
		return measured, err
	}
	warm.close()
	if _, err := server.untilQuiet(); err != nil {
		return measured, err
	}
	if measured.IdleRSSKiB, err = server.rssKiB(); err != nil {
		return measured, err
	}

	openedAt := time.Now()
	watching, err := openFleet(address, watchers, connections)
	if err != nil {
		return measured, err
	}
	defer watching.close()
	measured.OpenMs = ms(time.Since(openedAt))
	if _, err := server.untilQuiet(); err != nil {
		return measured, err
	}
	if measured.OpenRSSKiB, err = server.rssKiB(); err != nil {
		return measured, err
	}

	next := healthpb.HealthCheckResponse_NOT_SERVING
	for range changes {
		made, err := makeChange(server, watching, next, limit)
		if err != nil {
			return measured, err
		}
		measured.Changes = append(measured.Changes, made)
		if made.Problem != "" {
			break // from here on the counts say nothing
		}
		next = healthpb.HealthCheckResponse_SERVING + healthpb.HealthCheckResponse_NOT_SERVING - next
	}
	return measured, nil
}

// makeChange expects a quiet server and leaves one.
func makeChange(server process, watching *fleet, next status, limit time.Duration) (change, error) {
	// Now, so that the collector of this process does not run while the clock does.
	runtime.GC()
	serverBefore, err := server.cpu()
	if err != nil {
		return change{}, err
	}
	self := process(os.Getpid())
	clientBefore, err := self.cpu()
	if err != nil {
		return change{}, err
	}

	watching.expect()
	signalledAt := time.Now()
	if err := syscall.Kill(int(server), syscall.SIGUSR2); err != nil {
		return change{}, err
	}
	heardAt, problem := watching.untilHeard(limit)
	clientAfter, err := self.cpu()
	if err != nil {
		return change{}, err
	}
	// A server may go on after its last message has left, and a status may come twice.
	serverAfter, err := server.untilQuiet()
	if err != nil {
		return change{}, err
	}

	made := change{
		NotifyMs:    ms(heardAt.Sub(signalledAt)),
		ServerCPUMs: ms(serverAfter - serverBefore),
		ClientCPUMs: ms(clientAfter - clientBefore),
		Tally:       watching.tally(next),
	}
	if problem != nil {
		made.Problem = problem.Error()
	} else if !made.Tally.good() {
		made.Problem = fmt.Sprintf("not every watcher heard %v exactly once", next)
	}
	return made, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
