package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// watchPeak follows the resident size of a process until the returned function is called,
// which says how large it has been. The kernel keeps the peak itself, so that only growth
// right before the end of the process can be missed. What wait4 reports as the largest size
// is of no use: it counts from before the program was loaded, with what the parent held
// then.
func watchPeak(pid int) func() int64 {
	var peak int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			peak = max(peak, residentPeak(pid))
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return func() int64 {
		close(stop)
		<-stopped
		return peak
	}
}

// residentPeak reads what Linux says; 0 elsewhere, and when the process is gone.
func residentPeak(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	return parsePeak(string(text))
}

// parsePeak finds the peak in a process's status.
func parsePeak(status string) int64 {
	_, line, _ := strings.Cut(status, "\nVmHWM:")
	line, _, _ = strings.Cut(line, "\n")
	kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(line, "kB")), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
