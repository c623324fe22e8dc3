// Command vault runs HashiCorp Vault's real core with the few backends that the
// product talks to, in memory, for tests and for local try-outs.
//
// It is built from the module of the published server (BUSL-1.1) and is never
// shipped: see ../README.md. Storage is in memory, so what it held is gone when it
// stops. It prints one line of JSON on standard output when it serves ([ready]) and
// stops on SIGTERM, on SIGINT, or when its standard input ends, which is how it
// notices that whoever started it has died.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-secure-stdlib/reloadutil"
	jwt "github.com/hashicorp/vault-plugin-auth-jwt"
	kubernetes "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/logical/transit"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// ready is the line that says the server answers.
type ready struct {
	Address   string   `json:"address"`    // http://HOST:PORT
	RootToken string   `json:"root_token"` // may do everything, never expires
	Unseal    []string `json:"unseal"`     // hex; each is needed, there is one
	PID       int      `json:"pid"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "vault:", err)
		os.Exit(1)
	}
}

func run() error {
	listen := flag.String("listen", "127.0.0.1:0", "loopback address to serve on; port 0 takes a free one")
	logLevel := flag.String("log-level", "error", "what Vault writes on standard error")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx, orphaned := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		orphaned()
	}()

	listener, err := loopback(*listen)
	if err != nil {
		return err
	}
	logger := hclog.New(&hclog.LoggerOptions{Output: os.Stderr, Level: hclog.LevelFromString(*logLevel)})
	core, line, err := start(ctx, logger)
	if err != nil {
		return err
	}
	line.Address = "http://" + listener.Addr().String()

	server := &http.Server{
		Handler: vaulthttp.Handler.Handler(&vault.HandlerProperties{
			Core:           core,
			ListenerConfig: &configutil.Listener{},
		}),
		ReadHeaderTimeout: 10 * time.Second,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		return fmt.Errorf("say that the server is ready: %w", err)
	}

	select {
	case <-ctx.Done():
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	}
	// Nothing survives this process, so open requests are cut rather than drained.
	_ = server.Close()
	return nil
}

// loopback listens on addr and refuses one that others could reach: the root token
// goes over the connection in clear.
func loopback(addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if !listener.Addr().(*net.TCPAddr).IP.IsLoopback() {
		_ = listener.Close()
		return nil, errors.New("listen: only a loopback address is served")
	}
	return listener, nil
}

// start makes a core, initialises it with one key share and unseals it.
func start(ctx context.Context, logger hclog.Logger) (*vault.Core, ready, error) {
	storage, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return nil, ready{}, fmt.Errorf("make the storage: %w", err)
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:        storage,
		StorageType:     "inmem",
		DisableMlock:    true,
		Logger:          logger,
		LogicalBackends: map[string]logical.Factory{"kv": kv.Factory, "transit": transit.Factory},
		CredentialBackends: map[string]logical.Factory{
			"approle": approle.Factory, "kubernetes": kubernetes.Factory, "jwt": jwt.Factory,
		},
		BuiltinRegistry: registry{},
		ReloadFuncs:     &map[string][]reloadutil.ReloadFunc{},
	})
	if err != nil {
		return nil, ready{}, fmt.Errorf("make the core: %w", err)
	}
	share := &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}
	initialised, err := core.Initialize(ctx, &vault.InitParams{BarrierConfig: share, RecoveryConfig: &vault.SealConfig{}})
	if err != nil {
		return nil, ready{}, fmt.Errorf("initialise: %w", err)
	}
	line := ready{RootToken: initialised.RootToken, PID: os.Getpid()}
	for _, key := range initialised.SecretShares {
		line.Unseal = append(line.Unseal, hex.EncodeToString(key))
		if _, err := core.Unseal(key); err != nil {
			return nil, ready{}, fmt.Errorf("unseal: %w", err)
		}
	}
	if core.Sealed() {
		return nil, ready{}, errors.New("unseal: the server stays sealed")
	}
	return core, line, nil
}

// registry tells Vault's plugin catalogue which backends are built in. Without it
// listing the mounts panics.
type registry struct{}

// builtins are the backends that start links.
var builtins = map[consts.PluginType][]string{
	consts.PluginTypeSecrets:    {"kv", "transit"},
	consts.PluginTypeCredential: {"approle", "kubernetes", "jwt"},
}

func (registry) Contains(name string, kind consts.PluginType) bool {
	for _, known := range builtins[kind] {
		if known == name {
			return true
		}
	}
	return false
}

// Get answers for the known names; the factories themselves come from CoreConfig.
func (r registry) Get(name string, kind consts.PluginType) (func() (any, error), bool) {
	if !r.Contains(name, kind) {
		return nil, false
	}
	return func() (any, error) { return nil, fmt.Errorf("%s is linked, not run as a plug-in", name) }, true
}

func (registry) Keys(kind consts.PluginType) []string { return builtins[kind] }

func (r registry) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	if !r.Contains(name, kind) {
		return consts.Unknown, false
	}
	return consts.Supported, true
}

func (registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
