// Command load-client loads a gRPC server that listens on 127.0.0.1 and prints one object of JSON: operations, the CPU
// time that the server's process spent on them, the time it took, and latencies where the mode has them.
//
// Modes: "frames" speaks HTTP/2 by itself and cheaply, so that the server and not the client is the limit, and asks for
// Health/Check or tokens.proto's Generate with the same field block each time; "grpc" is a grpc-go client whose calls
// have a deadline and a request id of their own; "probe" is one grpc-go client with one Check at a time.
//
// The first -warm is not counted. The exit status is not 0 when an answer was wrong or the server ended.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"sync/atomic"
	"time"
)

type options struct {
	address     string
	certificate string
	connections int
	streams     int
	messages    int
	intervalMs  int
	stepMs      int
	every       time.Duration
	delay       time.Duration
	failed      chan error
	operations  *atomic.Int64
}

type result struct {
	Operations  int64   `json:"operations"`
	ServerCPUMs float64 `json:"serverCpuMs"`
	ElapsedMs   float64 `json:"elapsedMs"`
	P50Ms       float64 `json:"p50Ms"`
	P99Ms       float64 `json:"p99Ms"`
}

func main() {
	mode := flag.String("mode", "frames", "frames, grpc or probe")
	pid := flag.Int("pid", 0, "process id of the server")
	warm := flag.Duration("warm", 500*time.Millisecond, "time that is not counted")
	duration := flag.Duration("duration", 2*time.Second, "time that is")
	var o options
	flag.StringVar(&o.address, "address", "", "host:port of the server")
	flag.StringVar(&o.certificate, "certificate", "", "speak TLS and trust this certificate, a PEM file")
	flag.IntVar(&o.connections, "connections", 4, "connections")
	flag.IntVar(&o.streams, "streams", 1, "calls in flight on each")
	flag.IntVar(&o.messages, "messages", 0, "messages of each Generate; 0 asks for Check")
	flag.IntVar(&o.intervalMs, "interval-ms", 0, "pause between the messages of a Generate")
	flag.IntVar(&o.stepMs, "step-ms", 0, "the same, by a clock that all its streams share")
	flag.DurationVar(&o.every, "every", 5*time.Millisecond, "pause between the Checks of a probe")
	flag.Parse()
	if o.address == "" || *pid <= 0 || o.connections < 1 || o.streams < 1 {
		flag.Usage()
		os.Exit(2)
	}
	o.failed = make(chan error, 1)
	o.operations = new(atomic.Int64)
	measured, err := measure(*mode, o, process(*pid), *warm, *duration)
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(measured); err != nil {
		log.Fatal(err)
	}
}

func measure(mode string, o options, server process, warm, duration time.Duration) (result, error) {
	var latencies func() []time.Duration
	var err error
	switch mode {
	case "frames":
		err = startFrames(o)
	case "grpc":
		err = startGrpc(o)
	case "probe":
		latencies, err = startProbe(o)
	default:
		err = fmt.Errorf("there is no mode %q", mode)
	}
	if err != nil {
		return result{}, err
	}
	if err := pause(o, warm); err != nil {
		return result{}, err
	}
	if latencies != nil {
		latencies() // what was measured on cold code
	}
	begun, before, cpuBefore, err := reading(o, server)
	if err != nil {
		return result{}, err
	}
	if err := pause(o, duration); err != nil {
		return result{}, err
	}
	ended, after, cpuAfter, err := reading(o, server)
	if err != nil {
		return result{}, err
	}
	if after == before {
		return result{}, fmt.Errorf("no operation ended within %v", duration)
	}
	measured := result{Operations: after - before, ServerCPUMs: ms(cpuAfter - cpuBefore), ElapsedMs: ms(ended.Sub(begun))}
	if latencies != nil {
		sorted := latencies()
		measured.P50Ms = ms(sorted[len(sorted)/2])
		measured.P99Ms = ms(sorted[len(sorted)*99/100])
	}
	return measured, nil
}

func reading(o options, server process) (time.Time, int64, time.Duration, error) {
	cpu, err := server.cpu()
	return time.Now(), o.operations.Load(), cpu, err
}

func pause(o options, duration time.Duration) error {
	select {
	case err := <-o.failed:
		return err
	case <-time.After(duration):
		return nil
	}
}

func (o options) fail(err error) {
	select {
	case o.failed <- err:
	default:
	}
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
