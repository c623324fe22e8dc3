// Command run-vault starts a real Vault with an empty key/value store on "secret/" and
// runs a command beside it, with VAULT_ADDR and VAULT_TOKEN set. Both end together.
//
//	go run ./test/servers/cmd/run-vault bin/sb-server dev
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"secretsbridge/test/servers"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "run-vault:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("name the command to run beside Vault, such as bin/sb-server dev")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	fmt.Fprintln(os.Stderr, "run-vault: building Vault; several minutes the first time, nothing afterwards")
	binary, err := servers.BuildVault(ctx)
	if err != nil {
		return err
	}
	server, err := servers.StartVault(ctx, binary)
	if err != nil {
		return err
	}
	defer server.Stop()
	if err := server.MountKV(ctx, "secret"); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "run-vault: Vault serves at", server.Address)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "VAULT_ADDR="+server.Address, "VAULT_TOKEN="+server.RootToken, "SB_DEMO_FILL_VAULT=true")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	err = cmd.Run()
	if ctx.Err() != nil {
		return nil // we were asked to stop, and so was the command
	}
	return err
}
