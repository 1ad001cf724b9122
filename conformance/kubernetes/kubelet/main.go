// Command kubelet-probes puts the kubelet's own probe code and the API server's own validation to a manifest, without
// a cluster, a node or a container runtime. It needs no rights.
//
//	kubelet-probes validate FILE...       validates every object of the files as the API server does
//	kubelet-probes pod FILE               prints the pod of the file's Deployment, with the API's defaults, as JSON
//	kubelet-probes probe [flags] FILE     probes that pod's container with the kubelet's workers, until standard input ends
//
// Everything is printed as JSON lines on standard output.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	core "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
)

func main() {
	// The kubelet's log repeats what the events say.
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: kubelet-probes validate FILE... | pod FILE | probe [flags] FILE")
	}
	switch command, rest := args[0], args[1:]; command {
	case "validate":
		return validateFiles(rest)
	case "pod":
		pod, err := podOf(rest[0])
		if err != nil {
			return err
		}
		printLine(pod)
		return nil
	case "probe":
		return probe(rest)
	default:
		return fmt.Errorf("unknown command %q", command)
	}
}

func probe(args []string) error {
	flags := flag.NewFlagSet("probe", flag.ContinueOnError)
	podIP := flags.String("pod-ip", "127.0.0.1", "address that the probes dial")
	speed := flags.Int("speed", 1, "divide the periods of the probes by this; a period stays at least one second")
	ports, services, failures := pairs{}, pairs{}, pairs{}
	flags.Var(ports, "port", "MANIFEST=ACTUAL: dial another port than the manifest says; repeatable")
	flags.Var(services, "service", "PROBE=NAME: ask for another name than the manifest says; repeatable")
	flags.Var(failures, "failures", "PROBE=COUNT: another failure threshold than the manifest's; repeatable")
	if err := flags.Parse(args); err != nil {
		return err
	}
	pod, err := podOf(flags.Arg(0))
	if err != nil {
		return err
	}
	if err := adjust(pod, *speed, ports, services, failures); err != nil {
		return err
	}
	return newNode(pod, *podIP).run(os.Stdin)
}

// adjust fits the pod's probes to a test: shorter periods, and what the flags name. Everything else stays.
func adjust(pod *core.Pod, speed int, ports, services, failures pairs) error {
	container := &pod.Spec.Containers[0]
	probes := map[string]*core.Probe{
		"startup":   container.StartupProbe,
		"readiness": container.ReadinessProbe,
		"liveness":  container.LivenessProbe,
	}
	for name, spec := range probes {
		if spec == nil {
			continue
		}
		spec.PeriodSeconds = max(1, spec.PeriodSeconds/int32(speed))
		spec.InitialDelaySeconds /= int32(speed)
		if spec.GRPC == nil {
			return fmt.Errorf("the %s probe does not ask over gRPC", name)
		}
		if actual, found := ports[strconv.Itoa(int(spec.GRPC.Port))]; found {
			port, err := strconv.ParseUint(actual, 10, 16)
			if err != nil {
				return err
			}
			spec.GRPC.Port = int32(port)
		}
		if service, found := services[name]; found {
			spec.GRPC.Service = &service
		}
		if count, found := failures[name]; found {
			threshold, err := strconv.ParseUint(count, 10, 16)
			if err != nil {
				return err
			}
			spec.FailureThreshold = int32(threshold)
		}
	}
	return nil
}

// pairs is a flag that may be repeated, each time with KEY=VALUE.
type pairs map[string]string

func (p pairs) String() string { return "" }

func (p pairs) Set(text string) error {
	key, value, found := strings.Cut(text, "=")
	if !found {
		return fmt.Errorf("%q is not KEY=VALUE", text)
	}
	p[key] = value
	return nil
}

var printing sync.Mutex

func printLine(value any) {
	printing.Lock()
	defer printing.Unlock()
	if err := json.NewEncoder(os.Stdout).Encode(value); err != nil {
		// Whoever read us has gone.
		os.Exit(1)
	}
}
