package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// process reads what Linux tells about another process of the same user.
type process int

// The kernel's clock tick in /proc, 100 a second on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// cpu is the time that all its threads have run so far: from schedstat, to the nanosecond, or to the clock tick from
// stat where the kernel has no schedstat.
func (pid process) cpu() (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", int(pid)))
	if err != nil {
		return 0, err
	}
	if len(files) == 0 {
		return pid.cpuInTicks()
	}
	var total time.Duration
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread ended just now
		}
		onCPU, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(onCPU, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		total += time.Duration(ns)
	}
	return total, nil
}

func (pid process) cpuInTicks() (time.Duration, error) {
	file := fmt.Sprintf("/proc/%d/stat", int(pid))
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	// The name stands in brackets and may hold spaces; utime and stime are the 12th and 13th behind it.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("%s is too short", file)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick, err
}
