package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
)

func (o options) dial() (healthpb.HealthClient, error) {
	trust := insecure.NewCredentials()
	if o.certificate != "" {
		loaded, err := credentials.NewClientTLSFromFile(o.certificate, "localhost")
		if err != nil {
			return nil, err
		}
		trust = loaded
	}
	connection, err := grpc.NewClient(o.address, grpc.WithTransportCredentials(trust))
	return healthpb.NewHealthClient(connection), err
}

// startGrpc keeps o.streams callers busy on each of o.connections. As in production each call has a deadline and a
// request id of its own, so no two field blocks are alike.
func startGrpc(o options) error {
	for number := range o.connections {
		client, err := o.dial()
		if err != nil {
			return err
		}
		for caller := range o.streams {
			go func() {
				for call := 0; ; call++ {
					id := fmt.Sprintf("%08x-7a44-4d0b-%04x-%012x", uint32(call*7919), caller, call*104729+number)
					ctx := metadata.AppendToOutgoingContext(context.Background(), "x-request-id", id)
					if err := check(ctx, client); err != nil {
						o.fail(err)
						return
					}
					o.operations.Add(1)
				}
			}()
		}
	}
	return nil
}

// startProbe makes one Check after the other and answers how to take the latencies since the last time, sorted.
func startProbe(o options) (func() []time.Duration, error) {
	client, err := o.dial()
	if err != nil {
		return nil, err
	}
	var lock sync.Mutex
	var latencies []time.Duration
	go func() {
		for {
			begun := time.Now()
			if err := check(context.Background(), client); err != nil {
				o.fail(err)
				return
			}
			took := time.Since(begun)
			lock.Lock()
			latencies = append(latencies, took)
			lock.Unlock()
			o.operations.Add(1)
			time.Sleep(o.every)
		}
	}()
	return func() []time.Duration {
		lock.Lock()
		defer lock.Unlock()
		taken := latencies
		latencies = nil
		slices.Sort(taken)
		return taken
	}, nil
}

func check(ctx context.Context, client healthpb.HealthClient) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	answer, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return err
	}
	if answer.Status != healthpb.HealthCheckResponse_SERVING {
		return fmt.Errorf("a Check was answered %v", answer.Status)
	}
	return nil
}
