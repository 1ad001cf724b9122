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

// cpu is the time that all its threads have run so far. Threads that ended are not in it.
func (pid process) cpu() (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", int(pid)))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("no /proc/%d/task/*/schedstat: the process has ended, or this is not Linux with CONFIG_SCHEDSTATS", int(pid))
	}
	var total time.Duration
	for _, file := range files {
		text, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			continue // the thread ended just now
		}
		if err != nil {
			return 0, err
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

func (pid process) rssKiB() (int, error) {
	file := fmt.Sprintf("/proc/%d/status", int(pid))
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, "VmRSS:"); found {
			return strconv.Atoi(strings.Fields(value)[0])
		}
	}
	return 0, fmt.Errorf("%s has no line VmRSS", file)
}

const (
	quietFor  = 500 * time.Millisecond
	pollEvery = 50 * time.Millisecond
	// A process that uses less than this between two polls is quiet.
	quietCPU  = time.Millisecond
	quietWait = 15 * time.Second
)

// untilQuiet waits until the process has been quiet for a while, or for 15 s, and answers its CPU time then.
func (pid process) untilQuiet() (time.Duration, error) {
	before, err := pid.cpu()
	for busyAt, end := time.Now(), time.Now().Add(quietWait); err == nil; {
		time.Sleep(pollEvery)
		var now time.Duration
		now, err = pid.cpu()
		if now-before >= quietCPU {
			busyAt = time.Now()
		}
		before = now
		if time.Since(busyAt) >= quietFor || time.Now().After(end) {
			break
		}
	}
	return before, err
}
