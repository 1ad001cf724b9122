// Command grpc-go-server serves grpc-go's health service and nothing else. It prints its port and its software as one
// line of JSON and turns the overall status over at each SIGUSR2.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	table := health.NewServer()
	table.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, table)

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
		if next == healthpb.HealthCheckResponse_SERVING {
			next = healthpb.HealthCheckResponse_NOT_SERVING
		} else {
			next = healthpb.HealthCheckResponse_SERVING
		}
	}
}
