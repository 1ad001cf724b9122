// Command grpc-go-server serves grpc-go's health service and tokens.proto. It prints its port and its software as one
// line of JSON and turns the overall status over at each SIGUSR2. With -cert and -key it speaks TLS.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"tokenwire/bench/transport/pb"
)

type tokens struct {
	pb.UnimplementedTokensServer
	clocks *stepClocks
}

func (t tokens) Generate(request *pb.GenerateRequest, stream grpc.ServerStreamingServer[pb.TokenChunk]) error {
	var ticks <-chan time.Time
	if request.IntervalMs > 0 {
		ticker := time.NewTicker(time.Duration(request.IntervalMs) * time.Millisecond)
		defer ticker.Stop()
		ticks = ticker.C
	}
	var clock *stepClock
	if request.StepMs > 0 {
		clock = t.clocks.join(request.StepMs)
		defer t.clocks.leave(request.StepMs)
	}
	for index := range request.Messages {
		if ticks != nil || clock != nil {
			var step <-chan struct{}
			if clock != nil {
				step = *clock.Load()
			}
			select {
			case <-ticks:
			case <-step:
			case <-stream.Context().Done():
				return stream.Context().Err()
			}
		}
		if err := stream.Send(&pb.TokenChunk{TokenIds: []uint32{1000 + index%30_000}, Index: index}); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	certificate := flag.String("cert", "", "certificate for TLS, a PEM file")
	key := flag.String("key", "", "its key")
	flag.Parse()
	var options []grpc.ServerOption
	if *certificate != "" {
		loaded, err := credentials.NewServerTLSFromFile(*certificate, *key)
		if err != nil {
			log.Fatal(err)
		}
		options = append(options, grpc.Creds(loaded))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	table := health.NewServer()
	table.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
	server := grpc.NewServer(options...)
	healthpb.RegisterHealthServer(server, table)
	pb.RegisterTokensServer(server, tokens{clocks: &stepClocks{clocks: map[uint32]*stepClock{}}})

	flips := make(chan os.Signal, 1)
	signal.Notify(flips, syscall.SIGUSR2)
	go flip(table, flips)

	announcement := map[string]any{
		"port":     listener.Addr().(*net.TCPAddr).Port,
		"software": fmt.Sprintf("grpc-go %s, %s", grpc.Version, runtime.Version()),
	}
	if err := json.NewEncoder(os.Stdout).Encode(announcement); err != nil {
		log.Fatal(err)
	}
	log.Fatal(server.Serve(listener))
}

func flip(table *health.Server, flips <-chan os.Signal) {
	next := healthpb.HealthCheckResponse_NOT_SERVING
	for range flips {
		table.SetServingStatus("", next)
		next = healthpb.HealthCheckResponse_SERVING + healthpb.HealthCheckResponse_NOT_SERVING - next
	}
}
