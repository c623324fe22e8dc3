package nats

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"secretsbridge/nats/subject"
)

// DefaultToolTTL is how long credentials for an operator's own tools live.
const DefaultToolTTL = 30 * 24 * time.Hour

// Plan is what an operator's NATS servers are called, where they are and what they read.
// Paths are those on the servers' own hosts.
type Plan struct {
	Name    string        // of the cluster
	Nodes   []Node        // 1, 3 or 5
	ToolTTL time.Duration // of credentials for tools; 0 means [DefaultToolTTL]
}

// Node is one server of a [Plan].
type Node struct {
	Name string

	// Addresses as host:port: the client port, which servers of Secrets Bridge reach, the port
	// for the other nodes, that of agents, that of agents behind proxies or "", and that of
	// the node's own monitoring, which asks nobody for a password, or "".
	Client, Route, Leaf, Web, Monitor string
	Bind                              string // IP address that all but Monitor listen at

	Cert, Key, CA     string // of the client port and of routes; the certificate is a client's, too
	LeafCert, LeafKey string // of agents' ports
	Store             string // folder of streams and accounts
}

// nodeNames are what nodes and clusters may be called: it becomes part of file names.
var nodeNames = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

//go:embed node.conf.tmpl
var nodeText string

//go:embed resolver.conf.tmpl
var resolverText string

var (
	nodeTemplate     = template.Must(template.New("node").Funcs(template.FuncMap{"quote": quote}).Parse(nodeText))
	resolverTemplate = template.Must(template.New("resolver").Funcs(template.FuncMap{"quote": quote}).Parse(resolverText))
)

// quote writes a string of a configuration of NATS. Its quotes have no way to hold a quote, a
// backslash or a line's end; [Plan.check] refuses those.
func quote(s string) string { return `"` + s + `"` }

// WriteOperator makes an authority and writes all that an operator's servers and tools need
// into dir, which becomes 0700 with files of 0600:
//
//	keys/                  the authority's seeds, for Secrets Bridge alone
//	NAME.conf              configuration of each node, which includes the next
//	resolver.conf          whom all nodes trust, and accounts CORE and SYS
//	operator.jwt, CORE.jwt, SYS.jwt
//	core.creds, provisioner.creds, system.creds   for an operator's own tools
//
// It returns [ErrAuthorityExists] where keys/ holds one, and writes over no other file either.
func WriteOperator(dir string, plan Plan) error {
	if err := plan.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	authority, err := CreateAuthority(filepath.Join(dir, "keys"))
	if err != nil {
		return err
	}
	files, err := plan.files(authority)
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := writeNew(filepath.Join(dir, name), text); err != nil {
			return err
		}
	}
	return nil
}

func (p Plan) check() error {
	if !nodeNames.MatchString(p.Name) {
		return fmt.Errorf("%q is no name of a cluster: write small letters, digits and dashes", p.Name)
	}
	if n := len(p.Nodes); n != 1 && n != 3 && n != 5 {
		return fmt.Errorf("there are %d nodes: choose 3, or 1 to try it out, or 5", n)
	}
	seen := map[string]string{}
	for _, n := range p.Nodes {
		if !nodeNames.MatchString(n.Name) || n.Name == "resolver" {
			return fmt.Errorf("%q is no name of a node: write small letters, digits and dashes, and not resolver", n.Name)
		}
		if seen[n.Name] != "" {
			return fmt.Errorf("two nodes are called %s", n.Name)
		}
		seen[n.Name] = n.Name
		for what, addr := range map[string]string{"client": n.Client, "routes": n.Route, "leaf": n.Leaf, "web": n.Web, "monitor": n.Monitor} {
			if addr == "" && (what == "web" || what == "monitor") {
				continue
			}
			host, port, err := splitAddr(addr)
			if err != nil || host == "" || port < 1 {
				return fmt.Errorf("node %s: %s is %q: write host:port", n.Name, what, addr)
			}
			if other := seen[addr]; other != "" && what != "monitor" {
				return fmt.Errorf("node %s: %s is %s, which is %s", n.Name, what, addr, other)
			}
			seen[addr] = what + " of " + n.Name
		}
		if net.ParseIP(n.Bind) == nil {
			return fmt.Errorf("node %s: it cannot listen at %q: write an IP address, such as 0.0.0.0", n.Name, n.Bind)
		}
		for what, path := range map[string]string{
			"certificate": n.Cert, "key": n.Key, "CA": n.CA, "certificate for agents": n.LeafCert, "key for agents": n.LeafKey, "store": n.Store,
		} {
			if !filepath.IsAbs(path) {
				return fmt.Errorf("node %s: the path of its %s is %q: write the whole path, beginning with /", n.Name, what, path)
			}
		}
		for _, s := range []string{n.Client, n.Route, n.Leaf, n.Web, n.Monitor, n.Cert, n.Key, n.CA, n.LeafCert, n.LeafKey, n.Store} {
			if strings.ContainsAny(s, "\"\\\n\r$%") {
				return fmt.Errorf("node %s: %q has a character that a configuration of NATS cannot hold", n.Name, s)
			}
		}
	}
	return nil
}

// files are what is written beside the keys.
func (p Plan) files(a *Authority) (map[string][]byte, error) {
	files, err := a.trustFiles()
	if err != nil {
		return nil, err
	}
	// Nodes show each other certificates of the CA, too: the password is for a CA that has
	// signed for others as well.
	password := rand.Text()
	var routes []string
	for _, n := range p.Nodes {
		routes = append(routes, (&url.URL{Scheme: "tls", User: url.UserPassword("node", password), Host: n.Route}).String())
	}
	for _, n := range p.Nodes {
		var text bytes.Buffer
		if err := nodeTemplate.Execute(&text, map[string]any{
			"Cluster": p.Name, "Node": n, "Password": password, "Routes": routes, "Alone": len(p.Nodes) == 1,
			"Client": n.at(n.Client), "Route": n.at(n.Route), "Leaf": n.at(n.Leaf), "Web": n.at(n.Web), "Monitor": n.Monitor,
			"Accounts": filepath.Join(n.Store, "accounts"), "Payload": maxPayload,
		}); err != nil {
			return nil, err
		}
		files[n.Name+".conf"] = text.Bytes()
	}
	for name := range Tools() {
		if files[name+".creds"], err = a.ToolCredentials(name, p.ToolTTL); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// trustFiles are what servers read of an authority.
func (a *Authority) trustFiles() (map[string][]byte, error) {
	own, err := a.ownAccounts()
	if err != nil {
		return nil, err
	}
	operator, core, system := a.now.Load().operatorJWT, own[a.corePub], own[a.systemPub]
	var resolver bytes.Buffer
	if err := resolverTemplate.Execute(&resolver, map[string]string{
		"Operator": operator, "CorePub": a.corePub, "SystemPub": a.systemPub, "Core": core, "System": system,
	}); err != nil {
		return nil, err
	}
	return map[string][]byte{
		"operator.jwt": []byte(operator + "\n"), "CORE.jwt": []byte(core + "\n"), "SYS.jwt": []byte(system + "\n"),
		"resolver.conf": resolver.Bytes(),
	}, nil
}

// at is where a node listens for an address by which others reach it.
func (n Node) at(addr string) string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	return net.JoinHostPort(n.Bind, port)
}

// Tools are the users that an operator's own tools may be, and what for.
func Tools() map[string]string {
	return map[string]string{
		"core":        "look at streams of account CORE; it may not change EVENTS",
		"provisioner": "change streams of account CORE, all of them",
		"system":      "look at the servers, and send them accounts",
	}
}

// ToolCredentials signs a file of credentials for one of [Tools]. ttl 0 means
// [DefaultToolTTL].
func (a *Authority) ToolCredentials(tool string, ttl time.Duration) ([]byte, error) {
	if ttl == 0 {
		ttl = DefaultToolTTL
	}
	if _, ok := Tools()[tool]; !ok || ttl < 0 {
		return nil, fmt.Errorf("there are no credentials for %q for %s", tool, ttl)
	}
	var denied []string
	if tool == "core" {
		denied = subject.EventsAdmin()
	}
	signer, account := a.insiders(tool == "system")
	key, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	pub, err := key.PublicKey()
	if err != nil {
		return nil, err
	}
	claims := jwt.NewUserClaims(pub)
	claims.Name = tool
	claims.AllowedConnectionTypes.Add(jwt.ConnectionTypeStandard)
	claims.Pub.Deny.Add(denied...)
	claims.Expires = time.Now().Add(ttl).Unix()
	claims.IssuerAccount = account
	signed, err := claims.Encode(signer)
	if err != nil {
		return nil, fmt.Errorf("sign credentials of %s: %w", tool, err)
	}
	seed, err := key.Seed()
	if err != nil {
		return nil, err
	}
	return jwt.FormatUserConfig(signed, seed)
}
