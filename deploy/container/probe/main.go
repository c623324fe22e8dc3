// Command probe runs inside a container and says what it should not be able to do. Exit code 1: something.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	wrong := 0
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fmt.Println(err)
		wrong++
	}
	for _, want := range []string{"Uid:\t65532\t65532\t65532\t65532", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"} {
		if !bytes.Contains(status, []byte(want)) {
			fmt.Printf("the process has not %q\n", want)
			wrong++
		}
	}
	for _, dir := range []string{"/", "/etc", "/usr/local/bin", "/tmp", "/var/lib"} {
		if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err == nil {
			fmt.Printf("%s can be written to\n", dir)
			wrong++
		}
	}
	if wrong > 0 {
		os.Exit(1)
	}
}
