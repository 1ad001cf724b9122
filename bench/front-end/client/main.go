// Command client opens token streams of vllm.grpc.engine.VllmEngine and says what they cost the server: its CPU time
// (all threads of a process) per token, the time to the first token, and how busy this client was itself.
//
// One JSON line per round. A stream that does not bring the number of tokens it asked for is a failure of its round.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const method = "/vllm.grpc.engine.VllmEngine/Generate"

var streaming = &grpc.StreamDesc{ServerStreams: true}

type round struct {
	Tokens        int      `json:"tokens"`
	Messages      int      `json:"messages"`
	WallSeconds   float64  `json:"wallSeconds"`
	ServerSeconds float64  `json:"serverCpuSeconds"`
	ClientSeconds float64  `json:"clientCpuSeconds"`
	ServerRSSKiB  int      `json:"serverRssKiB"`
	Writes        int      `json:"serverWrites"`
	FirstTokenMs  ttft     `json:"firstTokenMs"`
	Failures      []string `json:"failures"`
}

type ttft struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

type ended struct {
	tokens, messages int
	firstTokenMs     float64
	err              error
}

func stream(conn *grpc.ClientConn, id string, prompt, tokens int) (end ended) {
	request := generateRequest(id, prompt, tokens)
	begun := time.Now()
	call, err := conn.NewStream(context.Background(), streaming, method, grpc.ForceCodec(rawCodec{}))
	if err == nil {
		err = call.SendMsg(&request)
	}
	if err == nil {
		err = call.CloseSend()
	}
	if err != nil {
		return ended{err: err}
	}
	response := make([]byte, 0, 256)
	for {
		if err := call.RecvMsg(&response); err != nil {
			if !errors.Is(err, io.EOF) {
				end.err = err
			} else if end.tokens != tokens {
				end.err = fmt.Errorf("%s brought %d tokens, not %d", id, end.tokens, tokens)
			}
			return end
		}
		count, ok := tokensOf(response)
		if !ok {
			return ended{err: fmt.Errorf("%s: a response is no message", id)}
		}
		if end.tokens == 0 && count > 0 {
			end.firstTokenMs = float64(time.Since(begun).Microseconds()) / 1000
		}
		end.tokens += count
		end.messages++
	}
}

func main() {
	address := flag.String("addr", "", "the server, HOST:PORT")
	pid := flag.Int("pid", 0, "the server's process id")
	streams := flag.Int("streams", 32, "streams at once")
	connections := flag.Int("connections", 4, "connections that share them")
	tokens := flag.Int("tokens", 300, "tokens of a stream")
	prompt := flag.Int("prompt", 32, "prompt tokens of a stream")
	rounds := flag.Int("rounds", 1, "rounds, after one that warms up and is not told")
	sequential := flag.Bool("sequential", false, "one stream after the other")
	flag.Parse()

	conns := make([]*grpc.ClientConn, *connections)
	for i := range conns {
		conn, err := grpc.NewClient(*address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			log.Fatal(err)
		}
		conns[i] = conn
	}
	for number := range *rounds + 1 {
		count := *tokens
		if number == 0 {
			count = min(count, 50)
		}
		result := measure(*pid, func() []ended {
			return all(conns, number, *streams, *prompt, count, *sequential)
		})
		if number == 0 {
			if len(result.Failures) > 0 {
				log.Fatalf("the round that warms up failed: %s", result.Failures[0])
			}
			continue
		}
		line, err := json.Marshal(result)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(line))
	}
}

func all(conns []*grpc.ClientConn, number, streams, prompt, tokens int, sequential bool) []ended {
	ends := make([]ended, streams)
	var open sync.WaitGroup
	for i := range streams {
		run := func() {
			id := fmt.Sprintf("%d-%d-%d", os.Getpid(), number, i)
			ends[i] = stream(conns[i%len(conns)], id, prompt, tokens)
		}
		if sequential {
			run()
			continue
		}
		open.Add(1)
		go func() {
			defer open.Done()
			run()
		}()
	}
	open.Wait()
	return ends
}

func measure(pid int, play func() []ended) round {
	server, client, writes, begun := cpuSeconds(pid), ownCPUSeconds(), writesOf(pid), time.Now()
	ends := play()
	result := round{
		WallSeconds:   time.Since(begun).Seconds(),
		ServerSeconds: cpuSeconds(pid) - server,
		ClientSeconds: ownCPUSeconds() - client,
		Writes:        writesOf(pid) - writes,
		ServerRSSKiB:  rssKiB(pid),
		Failures:      []string{},
	}
	first := make([]float64, 0, len(ends))
	for _, end := range ends {
		result.Tokens += end.tokens
		result.Messages += end.messages
		if end.err != nil {
			result.Failures = append(result.Failures, end.err.Error())
		} else {
			first = append(first, end.firstTokenMs)
		}
	}
	slices.Sort(first)
	result.FirstTokenMs = ttft{P50: quantile(first, 0.5), P99: quantile(first, 0.99)}
	return result
}

func quantile(sorted []float64, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

// cpuSeconds is the time all threads of a process have run; of one that has ended a thread takes its share along.
func cpuSeconds(pid int) float64 {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		log.Fatalf("the server's process is gone: %v", err)
	}
	nanoseconds := 0.0
	for _, task := range tasks {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, task.Name()))
		if fields := strings.Fields(string(stat)); len(fields) > 0 {
			value, _ := strconv.ParseFloat(fields[0], 64)
			nanoseconds += value
		}
	}
	return nanoseconds / 1e9
}

func ownCPUSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

// writesOf counts the process's write and writev calls, to sockets and to its own event descriptors.
func writesOf(pid int) int {
	return procField(fmt.Sprintf("/proc/%d/io", pid), "syscw:")
}

func rssKiB(pid int) int {
	return procField(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:")
}

func procField(file, name string) int {
	content, _ := os.ReadFile(file)
	fields := strings.Fields(string(content))
	at := slices.Index(fields, name)
	if at < 0 || at+1 >= len(fields) {
		return 0
	}
	value, _ := strconv.Atoi(fields[at+1])
	return value
}
