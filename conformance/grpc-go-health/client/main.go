// Command health-checked-client is a client with grpc-go's client-side health checking (gRFC A17): round_robin over all
// addresses whose Watch stream says SERVING.
//
//	health-checked-client [-service NAME] ADDRESS...
//
// It calls VllmEngine/GetModelInfo, one call after the other, until standard input ends, and prints JSON lines: each
// call with the address that answered, each connection that opens or closes, each Watch stream that it opens, and each
// state of the channel.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	// Without this import the service config's healthCheckConfig has no effect.
	_ "google.golang.org/grpc/health"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

const (
	modelInfoMethod = "/vllm.grpc.engine.VllmEngine/GetModelInfo"
	callInterval    = 20 * time.Millisecond
	callTimeout     = 5 * time.Second
)

// event is a line of output. atMs counts from the start of the program.
type event struct {
	AtMs  int64  `json:"atMs"`
	Event string `json:"event"` // call, connected, disconnected, watch, state
	// The server's address; of a call that reached no server, empty.
	Address string `json:"address,omitempty"`
	// The client's end of the connection, which no other connection has meanwhile.
	Connection string `json:"connection,omitempty"`
	// Of a call: its status.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// Of the channel.
	State string `json:"state,omitempty"`
}

func main() {
	service := flag.String("service", "", "the health name to watch; empty is the whole server")
	flag.Parse()
	if err := run(*service, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(service string, addresses []string) error {
	if len(addresses) == 0 {
		return fmt.Errorf("usage: health-checked-client [-service NAME] ADDRESS...")
	}
	config, err := json.Marshal(map[string]any{
		"loadBalancingConfig": []any{map[string]any{"round_robin": map[string]any{}}},
		"healthCheckConfig":   map[string]any{"serviceName": service},
	})
	if err != nil {
		return err
	}
	servers := manual.NewBuilderWithScheme("servers")
	state := resolver.State{}
	for _, address := range addresses {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: address})
	}
	servers.InitialState(state)
	observer := newObserver()
	// The target's path becomes the calls' :authority, and node:http2 refuses an empty one.
	channel, err := grpc.NewClient("servers:///tokenwire",
		grpc.WithResolvers(servers),
		grpc.WithDefaultServiceConfig(string(config)),
		grpc.WithTransportCredentials(observer),
		grpc.WithPerRPCCredentials(observer),
	)
	if err != nil {
		return err
	}
	defer channel.Close()
	go followState(channel)
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	for ticks := time.NewTicker(callInterval); ; {
		select {
		case <-ended:
			return nil
		case <-ticks.C:
			call(channel)
		}
	}
}

func call(channel *grpc.ClientConn) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	var server peer.Peer
	// An Empty keeps the fields that it does not know, so it can stand for any message.
	err := channel.Invoke(ctx, modelInfoMethod, &emptypb.Empty{}, &emptypb.Empty{}, grpc.Peer(&server))
	said := status.Convert(err)
	done := event{Event: "call", Code: said.Code().String(), Message: said.Message()}
	if server.Addr != nil {
		done.Address = server.Addr.String()
	}
	printEvent(done)
}

func followState(channel *grpc.ClientConn) {
	for state := channel.GetState(); state != connectivity.Shutdown; state = channel.GetState() {
		printEvent(event{Event: "state", State: state.String()})
		if !channel.WaitForStateChange(context.Background(), state) {
			return
		}
	}
}

var (
	printing  sync.Mutex
	startedAt = time.Now()
)

func printEvent(e event) {
	printing.Lock()
	defer printing.Unlock()
	e.AtMs = time.Since(startedAt).Milliseconds()
	if err := json.NewEncoder(os.Stdout).Encode(e); err != nil {
		// Whoever read us has gone.
		os.Exit(1)
	}
}
