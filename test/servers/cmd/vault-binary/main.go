// Command vault-binary builds the Vault of test/servers once and prints the path of
// its binary. Run it inside the repository: go run ./test/servers/cmd/vault-binary
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"secretsbridge/test/servers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	path, err := servers.BuildVault(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "vault-binary:", err)
		os.Exit(1)
	}
	fmt.Println(path)
}
