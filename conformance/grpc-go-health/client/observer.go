package main

import (
	"context"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// observer prints the connections of a channel and the Watch streams on them. It does so as credentials that add
// nothing: interceptors and stats handlers are not told of the streams that health checking opens, but credentials are
// asked before each stream, whoever opens it.
type observer struct {
	credentials.TransportCredentials
}

func newObserver() *observer {
	return &observer{insecure.NewCredentials()}
}

// ClientHandshake implements credentials.TransportCredentials: once per connection, after the TCP connect.
func (o *observer) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := o.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		return nil, nil, err
	}
	observed := &observedConn{conn, info}
	observed.print("connected")
	return observed, observed, nil
}

// Clone implements credentials.TransportCredentials.
func (o *observer) Clone() credentials.TransportCredentials {
	return &observer{o.TransportCredentials.Clone()}
}

// GetRequestMetadata implements credentials.PerRPCCredentials: once per stream.
func (o *observer) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	request, _ := credentials.RequestInfoFromContext(ctx)
	if conn, isOurs := request.AuthInfo.(*observedConn); isOurs && request.Method == healthpb.Health_Watch_FullMethodName {
		conn.print("watch")
	}
	return nil, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (o *observer) RequireTransportSecurity() bool { return false }

// observedConn is a connection and, as what the handshake found out about the peer, a way back to itself.
type observedConn struct {
	net.Conn
	credentials.AuthInfo
}

func (c *observedConn) Close() error {
	err := c.Conn.Close()
	// A second Close answers net.ErrClosed.
	if err == nil {
		c.print("disconnected")
	}
	return err
}

func (c *observedConn) print(what string) {
	printEvent(event{Event: what, Address: c.RemoteAddr().String(), Connection: c.LocalAddr().String()})
}
