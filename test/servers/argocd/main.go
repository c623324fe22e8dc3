// Command argocd starts a real Argo CD over a real Kubernetes API, without containers, and writes
// down what it answers to a reader of applications.
//
// There is no kubelet and no operator: Kubernetes' own controllers make ReplicaSets and pods, and
// this program says of pods that they are ready, and of ExternalSecrets and Rollouts what their
// operators would. See README.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// limit bounds a recording, which takes about two minutes on an idle machine.
const limit = 20 * time.Minute

func main() {
	bin := flag.String("bin", "", "folder with argocd, kube-apiserver and kube-controller-manager")
	out := flag.String("out", "", "folder for the recordings")
	fetch := flag.Bool("fetch", false, "only download what a recording needs, which has no network")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	do := func() error { return run(ctx, *bin, *out) }
	if *fetch {
		do = fetchAll
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "argocd:", err)
		os.Exit(1)
	}
}

// fetchAll downloads the modules of operators.
func fetchAll() error {
	for module := range operators {
		if _, err := downloaded(module); err != nil {
			return err
		}
	}
	return nil
}

func run(ctx context.Context, bin, out string) (err error) {
	if bin == "" || out == "" {
		return fmt.Errorf("--bin and --out are needed")
	}
	ctx, ended := context.WithCancelCause(ctx)
	defer ended(nil)
	stack, err := start(ctx, bin, ended)
	if stack != nil {
		defer func() { stack.stop(err != nil) }()
	}
	if err != nil {
		return err
	}
	return record(ctx, stack, out)
}
