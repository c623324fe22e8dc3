package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/nats"
	"secretsbridge/store"
)

// nodePlace stands for a node's name in the flags of `nats init`.
const nodePlace = "{node}"

// natsCommand makes what an operator's own NATS cluster needs.
func natsCommand() *cobra.Command {
	root := &cobra.Command{Use: "nats", Short: "files of your own NATS cluster, and the keys of NATS"}
	root.AddCommand(natsInitCommand(), natsCredsCommand(), natsRotateCommand(), natsRotateOperatorCommand())
	return root
}

// natsFlags are what `nats init` is told. Each list has one entry for all nodes, or one each.
type natsFlags struct {
	name, bind                       string
	nodes, client, routes, leaf      []string
	web, monitor                     []string
	cert, key, ca, leafCert, leafKey []string
	store                            []string
	ttl                              time.Duration
}

func natsInitCommand() *cobra.Command {
	var f natsFlags
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "write keys, configuration and credentials of a NATS cluster",
		Long: "Writes into DIR what a NATS cluster for Secrets Bridge needs: keys/ with the seeds that only Secrets Bridge holds, NODE.conf for\n" +
			"each node, resolver.conf for all of them, and credentials for your own tools. Nothing is written over, and a DIR with keys is\n" +
			"refused: new keys would have every agent enrol again. docs/how-to/production-nats.md goes on from here.\n\n" +
			"A flag that may differ by node takes one entry for all nodes, in which {node} is the node's name, or one entry each,\n" +
			"separated by commas. Paths are those on the nodes' own hosts.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			plan, err := f.plan()
			if err != nil {
				return err
			}
			err = nats.WriteOperator(args[0], plan)
			if errors.Is(err, nats.ErrAuthorityExists) {
				return fmt.Errorf("%w: give another folder, or remove that one if no server ever used it", err)
			}
			if err != nil {
				return fmt.Errorf("nats init: %w", err)
			}
			natsNext(cmd.OutOrStdout(), args[0], plan)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "secrets-bridge", "name of the cluster")
	flags.StringSliceVar(&f.nodes, "nodes", []string{"node-1", "node-2", "node-3"}, "names of the nodes: 3 of them, or 1 or 5")
	flags.StringVar(&f.bind, "bind", "0.0.0.0", "IP address that nodes listen at")
	flags.StringSliceVar(&f.client, "client", []string{nodePlace + ":4222"}, "where servers of Secrets Bridge reach a node")
	flags.StringSliceVar(&f.routes, "routes", []string{nodePlace + ":6222"}, "where other nodes reach a node")
	flags.StringSliceVar(&f.leaf, "leaf", []string{nodePlace + ":7422"}, "where agents reach a node")
	flags.StringSliceVar(&f.web, "web", nil, "where agents reach a node by wss://, through proxies; empty: nowhere")
	flags.StringSliceVar(&f.monitor, "monitor", []string{"127.0.0.1:8222"}, "where a node answers /healthz and /varz, without a password; empty: nowhere")
	flags.StringSliceVar(&f.cert, "cert", []string{"/etc/nats/tls/{node}.pem"}, "path of a node's certificate, for servers and for clients")
	flags.StringSliceVar(&f.key, "key", []string{"/etc/nats/tls/{node}-key.pem"}, "path of its key")
	flags.StringSliceVar(&f.ca, "ca", []string{"/etc/nats/tls/ca.pem"}, "path of the CA that signed all nodes' certificates")
	flags.StringSliceVar(&f.leafCert, "leaf-cert", nil, "path of the certificate that agents are shown; empty: --cert")
	flags.StringSliceVar(&f.leafKey, "leaf-key", nil, "path of its key; empty: --key")
	flags.StringSliceVar(&f.store, "store", []string{"/var/lib/nats"}, "path of the folder for streams and accounts")
	flags.DurationVar(&f.ttl, "creds-ttl", nats.DefaultToolTTL, "how long the credentials for your own tools live")
	return cmd
}

// plan fills in the nodes' names.
func (f natsFlags) plan() (nats.Plan, error) {
	if len(f.leafCert) == 0 && len(f.leafKey) == 0 {
		f.leafCert, f.leafKey = f.cert, f.key
	}
	if len(f.leafCert) == 0 || len(f.leafKey) == 0 {
		return nats.Plan{}, errors.New("--leaf-cert and --leaf-key belong together: give both, or neither")
	}
	if f.ttl < time.Minute {
		return nats.Plan{}, fmt.Errorf("--creds-ttl is %s: choose a minute at least", f.ttl)
	}
	plan := nats.Plan{Name: f.name, ToolTTL: f.ttl}
	for i, name := range f.nodes {
		node := nats.Node{Name: name, Bind: f.bind}
		for _, part := range []struct {
			flag string
			list []string
			into *string
		}{
			{"client", f.client, &node.Client}, {"routes", f.routes, &node.Route}, {"leaf", f.leaf, &node.Leaf},
			{"web", f.web, &node.Web}, {"monitor", f.monitor, &node.Monitor},
			{"cert", f.cert, &node.Cert}, {"key", f.key, &node.Key}, {"ca", f.ca, &node.CA},
			{"leaf-cert", f.leafCert, &node.LeafCert}, {"leaf-key", f.leafKey, &node.LeafKey}, {"store", f.store, &node.Store},
		} {
			switch len(part.list) {
			case 0:
			case 1:
				*part.into = strings.ReplaceAll(part.list[0], nodePlace, name)
			case len(f.nodes):
				*part.into = strings.ReplaceAll(part.list[i], nodePlace, name)
			default:
				return nats.Plan{}, fmt.Errorf("--%s has %d entries and there are %d nodes: give one for all, or one each", part.flag, len(part.list), len(f.nodes))
			}
		}
		plan.Nodes = append(plan.Nodes, node)
	}
	return plan, nil
}

// natsNext says what an operator does with the files.
func natsNext(out io.Writer, dir string, plan nats.Plan) {
	var clients, leafs []string
	for _, n := range plan.Nodes {
		clients, leafs = append(clients, "tls://"+n.Client), append(leafs, "tls://"+n.Leaf)
	}
	fmt.Fprintf(out, "%s holds keys, configuration and credentials of NATS cluster %s.\n\n", dir, plan.Name)
	for _, n := range plan.Nodes {
		host, _, _ := net.SplitHostPort(n.Client)
		fmt.Fprintf(out, "  %s.conf and resolver.conf go to %s: nats-server -c %s.conf\n", n.Name, host, n.Name)
	}
	fmt.Fprintf(out, "  keys/ goes into the keyring of Secrets Bridge, and nowhere else: sb-server keys import %s\n\n", quoted(filepath.Join(dir, "keys")))
	fmt.Fprintf(out, "Servers of Secrets Bridge get:\n  SB_NATS_URL=%s\n  SB_NATS_REPLICAS=%d\n  SB_LEAF_URLS=%s\n\nKeep a copy of %s where your root keys are.\n",
		strings.Join(clients, ","), min(len(plan.Nodes), 3), strings.Join(leafs, ","), dir)
}

func natsCredsCommand() *cobra.Command {
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:   "creds [DIR] TOOL",
		Short: "sign new credentials for one of your own tools, on standard output",
		Long: "Signs credentials for TOOL: core (looks at streams, and may not change EVENTS), provisioner (may change all streams) or\n" +
			"system (looks at the servers, and sends them accounts). Without DIR it signs with the keys of the keyring, as a server would;\n" +
			"with DIR by what nats init wrote there, which counts until the keys of NATS are rotated. Old credentials count until they end.",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			tool := args[len(args)-1]
			if _, ok := nats.Tools()[tool]; !ok {
				return fmt.Errorf("there is no tool %q: write core, provisioner or system", tool)
			}
			if ttl < time.Minute {
				return fmt.Errorf("--ttl is %s: choose a minute at least", ttl)
			}
			sign := func(authority *nats.Authority) error {
				creds, err := authority.ToolCredentials(tool, ttl)
				if err != nil {
					return err
				}
				_, err = cmd.OutOrStdout().Write(creds)
				return err
			}
			if len(args) == 1 {
				return withRing(cmd.Context(), func(ring store.Keyring) error {
					keys, err := openLinkKeys(cmd.Context(), ring)
					if err != nil {
						return err
					}
					return sign(keys.authority)
				})
			}
			authority, err := nats.OpenAuthority(filepath.Join(args[0], "keys"))
			if errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("%w: give the folder that nats init wrote", err)
			}
			if err != nil {
				return err
			}
			return sign(authority)
		},
	}
	cmd.Flags().DurationVar(&ttl, "ttl", nats.DefaultToolTTL, "how long they live")
	return cmd
}
