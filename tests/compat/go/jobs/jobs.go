// Package jobs is what the programs of this folder share: waiting for a condition, and the line that says
// what came of them. It knows no library.
package jobs

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// Clients is the size of the pool that each program fills.
const Clients = 20

// Jobs are what was run by name, and what came of it.
type Jobs map[string]any

// Must ends the program where there is an error.
func Must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

// Said is the value, or the text of the error.
func Said[T any](value T, err error) any {
	if err != nil {
		return err.Error()
	}
	return value
}

// TLS is what a port that speaks it needs: whoever has signed its certificate is trusted. Nil for others.
func TLS() *tls.Config {
	authority := os.Getenv("TEST_TLS_AUTHORITY")
	if authority == "" {
		return nil
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(Must(os.ReadFile(authority)))
	return &tls.Config{RootCAs: trusted, ServerName: "127.0.0.1"}
}

// Eventually polls until probe is true.
func Eventually(probe func() bool) {
	deadline := time.Now().Add(20 * time.Second)
	for !probe() {
		if time.Now().After(deadline) {
			fmt.Fprintln(os.Stderr, "not within 20 s")
			os.Exit(1)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Version is that of go.mod.
func Version(module string) string {
	build, _ := debug.ReadBuildInfo()
	for _, each := range build.Deps {
		if each.Path == module {
			return strings.TrimPrefix(each.Version, "v")
		}
	}
	return "unknown"
}

// Report says what came of the jobs, and keeps all connections until the input ends.
func Report(library, version string, done Jobs) {
	line := map[string]any{"library": library, "version": version, "jobs": done}
	fmt.Println(string(Must(json.Marshal(line))))
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}
