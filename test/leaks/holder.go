package leaks

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// holderVariable makes a test binary a holder.
const holderVariable = "SB_TEST_HOLDER"

// veil hides the planted bytes on their way, so that only the holder's heap has them.
const veil = 0x5a

// Holder returns at once, except in the process of [Hold], which it becomes. It is the
// first call of a TestMain.
func Holder() {
	if os.Getenv(holderVariable) == "" {
		return
	}
	veiled, err := hex.DecodeString(os.Getenv(holderVariable))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	held := make([]byte, len(veiled))
	for i, b := range veiled {
		held[i] = b ^ veil
	}
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test lets go
	runtime.KeepAlive(held)
	os.Exit(0)
}

// Hold starts this test binary once more, as a process that holds b in its heap and
// nowhere else, and returns its id. It ends with the test.
func Hold(t testing.TB, b []byte) (pid int) {
	t.Helper()
	veiled := make([]byte, len(b))
	for i := range b {
		veiled[i] = b[i] ^ veil
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holderVariable+"="+hex.EncodeToString(veiled))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "held\n" {
		t.Fatalf("the holder says %q: %v", line, err)
	}
	return cmd.Process.Pid
}
