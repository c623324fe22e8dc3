package servers

import (
	"context"
	"errors"
	"fmt"
	"time"

	vault "github.com/hashicorp/vault/api"
)

// MountKV enables an empty KV version 2 store at a path and waits until it takes
// writes: just after the mount Vault is still upgrading it and answers 400.
func (s *VaultServer) MountKV(ctx context.Context, path string) error {
	config := vault.DefaultConfig()
	config.Address = s.Address
	client, err := vault.NewClient(config)
	if err != nil {
		return fmt.Errorf("mount %s: %w", path, err)
	}
	client.SetToken(s.RootToken)
	if err := client.Sys().MountWithContext(ctx, path, &vault.MountInput{Type: "kv", Options: map[string]string{"version": "2"}}); err != nil {
		return fmt.Errorf("mount %s: %w", path, err)
	}
	for {
		_, err := client.KVv2(path).Put(ctx, "ready", map[string]any{"ready": true})
		if err == nil {
			return client.KVv2(path).DeleteMetadata(ctx, "ready")
		}
		var answer *vault.ResponseError
		if !errors.As(err, &answer) || answer.StatusCode != 400 {
			return fmt.Errorf("write to %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
