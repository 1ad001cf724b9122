package main

import (
	"bufio"
	"fmt"
	"io"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/kubernetes/pkg/kubelet/prober"
	"k8s.io/kubernetes/pkg/kubelet/prober/results"
	"k8s.io/kubernetes/pkg/kubelet/status"
)

// node stands in for the parts of the kubelet around its prober: the status of one pod with one container, the loop
// that acts on results, and the events. What asks, how often, and what counts as a failure is the kubelet's own code.
//
// The container is somebody else's: lines on standard input say what became of it.
type node struct {
	// The prober asks for the pod's status and for nothing else; any other call would be a nil dereference.
	status.Manager

	pod       *core.Pod
	startedAt time.Time
	prober    prober.Manager
	liveness  results.Manager
	readiness results.Manager
	startup   results.Manager

	mu      sync.Mutex
	current core.PodStatus
}

// event is a line of output. atMs counts from the start of the program.
type event struct {
	AtMs    int64  `json:"atMs"`
	Event   string `json:"event"`
	Probe   string `json:"probe,omitempty"`
	Message string `json:"message,omitempty"`
	// How many probes succeeded and failed so far, by kind: the kubelet's metric prober_probe_total.
	Totals map[string]map[string]int `json:"totals,omitempty"`
}

func newNode(pod *core.Pod, podIP string) *node {
	n := &node{
		pod:       pod,
		startedAt: time.Now(),
		liveness:  results.NewManager(),
		readiness: results.NewManager(),
		startup:   results.NewManager(),
		current:   core.PodStatus{Phase: core.PodRunning, PodIP: podIP},
	}
	legacyregistry.MustRegister(prober.ProberResults)
	n.prober = prober.NewManager(n, n.liveness, n.readiness, n.startup, nil, n)
	return n
}

// run probes until the input ends. The container runs from the beginning; the input's lines are
//
//	exited     the container's process is gone
//	started    a new container runs
//	deleted    the pod is deleted: liveness and startup are no longer probed, readiness is
//	totals     asks for an event with the totals
func (n *node) run(input io.Reader) error {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(input); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	containers := 1
	n.setContainer(running(containers))
	n.prober.AddPod(n.pod)
	for {
		select {
		case line, open := <-lines:
			if !open {
				return nil
			}
			switch line {
			case "exited":
				n.setContainer(core.ContainerState{Terminated: &core.ContainerStateTerminated{}}, n.containerID())
			case "started":
				containers++
				n.setContainer(running(containers))
			case "deleted":
				n.prober.StopLivenessAndStartup(n.pod)
			case "totals":
				totals, err := probeTotals()
				if err != nil {
					return err
				}
				n.emit(event{Event: "totals", Totals: totals})
			default:
				return fmt.Errorf("unknown line %q", line)
			}
		case update := <-n.startup.Updates():
			n.actOn("startup", update)
		case update := <-n.liveness.Updates():
			n.actOn("liveness", update)
		case update := <-n.readiness.Updates():
			n.actOn("readiness", update)
		}
		n.sync()
	}
}

// actOn does what the kubelet's computePodActions decides: a running container whose liveness or startup probe failed
// is to be restarted. The container stays as it is until its owner says that it exited.
func (n *node) actOn(probe string, update results.Update) {
	if update.Result != results.Failure || probe == "readiness" {
		return
	}
	container := n.container()
	if container.ContainerID != update.ContainerID.String() || container.State.Running == nil {
		return
	}
	message := fmt.Sprintf("Container %s failed %s probe, will be restarted", container.Name, probe)
	n.emit(event{Event: "restart", Probe: probe, Message: message})
}

// sync lets the prober work the results into the pod's status, and reports what changed.
func (n *node) sync() {
	next, _ := n.GetPodStatus(n.pod.UID)
	before := next.ContainerStatuses[0]
	// The kubelet makes the status anew from what the runtime says, and there nobody is ready.
	next.ContainerStatuses[0].Ready = false
	n.prober.UpdatePodStatus(n.pod, &next)
	after := next.ContainerStatuses[0]
	n.mu.Lock()
	n.current = next
	n.mu.Unlock()
	isStarted, wasStarted := after.Started != nil && *after.Started, before.Started != nil && *before.Started
	if isStarted && !wasStarted {
		n.emit(event{Event: "started"})
	}
	switch {
	case after.Ready && !before.Ready:
		n.emit(event{Event: "ready"})
	case !after.Ready && before.Ready:
		n.emit(event{Event: "not-ready"})
	}
}

func running(container int) (core.ContainerState, string) {
	id := fmt.Sprintf("test://container-%d", container)
	return core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: meta.Now()}}, id
}

func (n *node) setContainer(state core.ContainerState, id string) {
	name := n.pod.Spec.Containers[0].Name
	ready := len(n.current.ContainerStatuses) > 0 && n.current.ContainerStatuses[0].Ready
	n.mu.Lock()
	defer n.mu.Unlock()
	n.current.ContainerStatuses = []core.ContainerStatus{{Name: name, ContainerID: id, State: state, Ready: ready}}
}

func (n *node) container() core.ContainerStatus {
	current, _ := n.GetPodStatus(n.pod.UID)
	return current.ContainerStatuses[0]
}

func (n *node) containerID() string { return n.container().ContainerID }

// GetPodStatus implements status.Manager.
func (n *node) GetPodStatus(types.UID) (core.PodStatus, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return *n.current.DeepCopy(), true
}

// Event implements record.EventRecorder.
func (n *node) Event(object runtime.Object, kind, reason, message string) {
	n.Eventf(object, kind, reason, "%s", message)
}

// Eventf implements record.EventRecorder: what `kubectl describe pod` shows below Events.
func (n *node) Eventf(_ runtime.Object, _, reason, format string, args ...any) {
	n.emit(event{Event: reason, Message: fmt.Sprintf(format, args...)})
}

// AnnotatedEventf implements record.EventRecorder.
func (n *node) AnnotatedEventf(object runtime.Object, _ map[string]string, kind, reason, format string, args ...any) {
	n.Eventf(object, kind, reason, format, args...)
}

func (n *node) emit(e event) {
	e.AtMs = time.Since(n.startedAt).Milliseconds()
	printLine(e)
}

func probeTotals() (map[string]map[string]int, error) {
	totals := map[string]map[string]int{}
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		return nil, err
	}
	for _, family := range families {
		if family.GetName() != "prober_probe_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			labels := map[string]string{}
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			kind := labels["probe_type"]
			if totals[kind] == nil {
				totals[kind] = map[string]int{}
			}
			totals[kind][labels["result"]] = int(metric.GetCounter().GetValue())
		}
	}
	return totals, nil
}
