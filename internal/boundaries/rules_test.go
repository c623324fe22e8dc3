package boundaries

// A pattern names packages: "agent" is that one, "agent/..." is it and all below it.
// Packages of this module are written without the module's name; a pattern with a dot
// in its first segment is of another module.

// rooms says what each room may import of this module, in its own files. Every
// package belongs to the first room that matches.
var rooms = []struct {
	room string
	may  []string
	why  string
}{
	{"events", nil, "arrows point at events and never come back"},
	{"seal", nil, "cryptography is pure, so that it can be read and checked by itself"},
	{"internal/secret", nil, "everybody may hold a value, so it may drag nobody along"},
	{"internal/private", nil, "it keeps files, whatever is in them"},
	{"support/...", []string{"support", "support/supporttest"}, "it puts documents into a file, whatever they are about"},
	{"internal/recent", nil, "it keeps lines of a log, whatever they say"},
	{"doctor", []string{"internal/private"}, "it looks at many things at once, and the binaries say at what"},
	{"internal/boundaries", nil, "it looks at packages from outside"},
	{"internal/build", nil, "every binary says which build it is"},
	{"internal/harden", nil, "it concerns the process only"},
	{"internal/clidoc", nil, "it writes down commands, whatever they do"},
	{"internal/clidoc/clidoctest", nil, "it compares pages, whatever they are about"},
	{"internal/socket", nil, "it knows what the system calls a socket, and nothing else"},
	{"internal/singlecall", nil, "it carries bytes, whatever they are"},
	{"internal/vaulthttp", []string{"internal/endpoint", "internal/patience"}, "it calls Vault for whoever has a reason to"},
	{"internal/erase", nil, "it concerns memory, whatever is in it"},
	{"internal/reach", []string{"events"}, "it tells how far something came, whatever it is"},
	{"internal/endpoint", nil, "it judges addresses, whoever is there"},
	{"internal/trace/...", []string{"events", "internal/trace", "internal/trace/tracetest"}, "every room may say what is done within what, so it may drag nobody along"},
	{"internal/manifest", []string{"events"}, "it reads what clusters say for whoever looks at them, and asks none"},
	{"internal/egress", nil, "it calls addresses that people chose, whatever for"},
	{"internal/patience", nil, "it waits, whatever for"},
	{"internal/turns", nil, "it lets people take turns, whatever they do"},
	{"internal/postgres/...", []string{"internal/postgres"}, "it runs Postgres and knows none of our words"},
	{"internal/window/...", []string{"internal/window"}, "it counts, whoever keeps the count"},
	{"policy/...", []string{"events", "policy/..."}, "policy is evaluated from what it is given, and nothing else"},
	{"transparency/receipts", []string{"events", "seal"}, "it checks signatures of agents as package seal makes them, and knows no tree"},
	{"transparency/...", []string{"events", "transparency/..."}, "what proves the log is pure, so that an auditor can read it by itself"},
	{"ledger/s3", []string{"internal/endpoint", "ledger"}, "it puts objects into a bucket and knows no log"},
	{"siem/syslog", []string{"events", "siem", "siem/outlet", "command", "command/commandtest", "worker", "worker/workertest"}, "it carries records to a receiver and reads none of ours"},
	{"siem/folder", []string{"events", "siem"}, "it keeps records in files and knows no log"},
	{"siem/outlet", []string{"events", "command", "command/commandtest", "siem", "worker", "worker/workertest"}, "it hands records on through ports: the feed, positions and sinks"},
	{"siem", []string{"events", "transparency"}, "formats of records are pure, so that whoever reads them can read how they are made"},
	{"ledger/...", []string{"events", "command", "command/commandtest", "internal/egress", "ledger/...", "transparency", "worker"}, "it keeps the log's proof through ports: the feed, checkpoints, tiles and witnesses"},
	{"backup", []string{"events", "transparency"}, "it reads and writes files, and knows neither Postgres nor NATS"},
	{"command/...", []string{"events", "command", "internal/trace"}, "deciders are pure; stores and transports satisfy command's ports"},
	{"rights/...", []string{"events", "command", "command/commandtest", "internal/reach", "policy"}, "it folds rights from the log, through ports, and evaluates nothing itself"},
	{"circumstances", []string{"events", "command", "command/commandtest", "inventory/inventorytest", "internal/reach"}, "it folds from the log what rules look at, through ports, and decides nothing"},
	{"kms/...", []string{"seal", "kms/...", "internal/endpoint", "internal/patience", "internal/vaulthttp"}, "a key manager wraps keys and knows no requests"},
	{"projections/...", []string{"events", "command", "internal/postgres", "transparency"}, "views are folds of facts; deciders lend them their words only"},
	{"inventory/...", []string{"events", "command", "command/commandtest", "inventory"}, "it takes what agents list through ports"},
	{"identity/factors", []string{"events", "command", "kms", "seal"}, "it keeps second factors through ports: sealed by the key manager, recorded in the log"},
	{"integrations", []string{"events", "command", "internal/secret", "kms", "seal"}, "it keeps secrets of integrations through ports: sealed by the key manager, recorded in the log"},
	{"store/...", []string{"events", "command", "custody", "gitops", "identity/factors", "integrations", "inventory", "internal/postgres", "internal/secret", "kms", "ledger", "notices", "seal", "worker"}, "the store satisfies ports of custody, of sign-in, of the worker and of notices"},
	{"custody/...", []string{"events", "command", "internal/erase", "internal/secret", "internal/trace", "kms", "seal"}, "the one room where plaintext passes stays small"},
	{"gateway/...", []string{"events", "command", "custody", "inventory", "internal/secret", "internal/trace/...", "kms", "seal"}, "it answers agents through ports and touches no transport"},
	{"identity/...", []string{"events", "command", "internal/secret", "seal", "store"}, "it says who somebody is, and records it through ports"},
	{"gitops/argocd", []string{"events", "gitops", "internal/egress", "internal/manifest", "internal/secret"}, "it looks through a port, with a token that it is lent, and decides nothing"},
	{"gitops", []string{"events", "command", "worker"}, "it judges what readers saw, and looks through ports"},
	{"worker/...", []string{"events", "command", "internal/trace", "policy", "seal", "worker"}, "it reacts through ports, so every reaction can be tested without a broker"},
	{"notices/...", []string{"events", "internal/egress", "internal/patience", "command", "command/commandtest", "policy", "rights", "worker", "internal/secret", "notices/..."}, "it tells people of facts, through ports for the outbox, for addresses and for names"},
	{"agent/witness", []string{"events", "seal", "internal/private", "transparency", "agent"}, "it checks the log with the code that auditors check it with"},
	{"agent/...", []string{"events", "seal", "internal/endpoint", "internal/erase", "internal/manifest", "internal/patience", "internal/private", "internal/secret", "internal/singlecall", "internal/trace", "internal/turns", "internal/vaulthttp", "agent"}, "an agent decides nothing and stores nothing"},
	{"nats/leaf", []string{"agent", "events", "internal/trace", "nats/internal/...", "nats/subject"}, "the agent's side of NATS must not drag the control plane's along"},
	{"nats/subject", []string{"events"}, "both sides build subjects with it"},
	{"nats/internal/...", nil, "it translates log lines"},
	{"nats", []string{"events", "command", "nats/subject", "nats/internal/...", "internal/private", "internal/trace", "internal/turns", "internal/window", "worker"}, "the store speaks command's errors, and leases the worker's"},
	{"web/api/client", []string{"events", "internal/secret", "seal", "web/api", "web/signed"}, "it seals values before they leave, and opens them where they arrive"},
	{"web/signed", []string{"seal"}, "both ends sign and check with it, so it drags neither along"},
	{"accounts", []string{"events", "command", "policy", "rights", "store", "internal/secret"}, "it joins facts about people with the rows that can be erased; HTTP and hosts ask it"},
	{"web/...", []string{"accounts", "circumstances", "events", "command", "custody", "gateway", "identity/...", "integrations", "inventory", "notices", "policy/...", "projections", "rights", "seal", "siem", "store", "internal/secret", "internal/trace", "internal/window", "kms", "ledger", "transparency/...", "web/..."}, "HTTP asks for decisions and views; it touches no broker, of keys it knows the errors, and of seal what signs and checks messages"},
	{"cmd/...", []string{"..."}, "wiring is what a binary is for"},
	{"test/...", []string{"..."}, "whole-system tests see everything"},
}

// owners says which packages may import another module's packages directly.
var owners = []struct {
	what string
	by   []string
	why  string
}{
	{"github.com/jackc/...", []string{"projections/...", "store/...", "internal/postgres/...", "cmd/sb-server", "test/..."}, "SQL lies beside the function that runs it, in three rooms"},
	{"github.com/gorilla/...", []string{"web/..."}, "routes are web's"},
	{"github.com/nats-io/nats.go/...", []string{"nats/...", "cmd/sb-server", "test/..."}, "all that touches NATS is in one room; the server's wiring hands its connection around"},
	{"github.com/synadia-io/...", []string{"nats", "test/..."}, "atomic batches are a matter of the log"},
	{"github.com/nats-io/nats-server/...", []string{"nats/...", "test/..."}, "all that touches NATS is in one room"},
	{"github.com/nats-io/jwt/...", []string{"nats/...", "test/..."}, "accounts and users are NATS's matter"},
	{"github.com/nats-io/nkeys", []string{"nats/...", "cmd/sb-agent", "test/..."}, "an agent makes its own key and signs its link with it"},
	{"github.com/coreos/go-oidc/...", []string{"identity/oidc"}, "tokens of an identity provider are read in one room"},
	{"golang.org/x/oauth2/...", []string{"identity/oidc"}, "what is asked of an identity provider is asked in one room"},
	{"code.dny.dev/ssrf", []string{"internal/egress"}, "where a call may lead is decided in one place"},
	{"github.com/standard-webhooks/...", []string{"notices/hook", "test/..."}, "webhooks are signed in one room, and tests verify them"},
	{"github.com/dunglas/httpsfv", []string{"web/signed"}, "structured fields are the signatures' alone"},
	{"github.com/hashicorp/golang-lru/...", []string{"gitops/argocd", "nats"}, "windows, and what was read of clusters, forget those unseen for longest"},
	{"github.com/hashicorp/vault/...", []string{"agent/vault", "kms/...", "internal/vaulthttp", "test/..."}, "an SDK stays in its provider's folder"},
	{"github.com/aws/...", []string{"agent/aws", "kms/awskms", "ledger/s3", "test/..."}, "an SDK stays in its backend's folder"},
	{"github.com/Azure/...", []string{"agent/azure", "test/..."}, "an SDK stays in its provider's folder"},
	{"cloud.google.com/go/...", []string{"agent/gcp", "test/..."}, "an SDK stays in its provider's folder"},
	{"google.golang.org/...", []string{"agent/gcp", "test/..."}, "an SDK stays in its provider's folder; it links gRPC, and nothing of ours speaks it (decision 0100)"},
	{"filippo.io/age/...", []string{"agent/file", "backup", "test/..."}, "files are encrypted where they are written: a provider's, and backups"},
	{"filippo.io/torchwood", []string{"agent/witness", "transparency/...", "ledger/...", "projections", "web", "cmd/...", "test/..."}, "formats of transparency logs are read by one library"},
	{"golang.org/x/mod/...", []string{"agent/witness", "backup", "transparency/...", "ledger/...", "projections", "store", "web", "cmd/...", "test/..."}, "trees of the log are hashed by one library"},
	{"golang.org/x/sys/...", []string{"siem/syslog", "test/..."}, "what the system knows of a socket is asked where it is needed"},
	{"github.com/prometheus/...", []string{"cmd/sb-server"}, "a binary is measured; rooms tell it figures, and know no monitoring system"},
	{"go.opentelemetry.io/...", []string{"internal/trace/otlp", "test/..."}, "rooms say what is done within what, and know no tracing system"},
	{"github.com/spf13/...", []string{"cmd/...", "internal/clidoc"}, "flags are a binary's, and one package describes them"},
	{"cel.dev/...", []string{"policy"}, "conditions are policy's alone"},
	{"github.com/go-webauthn/...", []string{"identity/factors"}, "passkeys are checked in one room"},
	{"github.com/pquerna/otp/...", []string{"identity/factors"}, "codes are checked in one room"},
	{"github.com/goccy/go-yaml/...", []string{"cmd/...", "policy/..."}, "rooms get values, not files"},
}

// forbidden says what a package must not link, directly or through others.
var forbidden = []struct {
	by   string
	what string
	why  string
}{
	{"cmd/sb-agent", "github.com/jackc/...", "an agent has no database: it keeps nothing that a thief of its host could query"},
	{"cmd/sb-agent", "database/sql", "an agent has no database"}, // database/sql/driver, which names only, comes with a library (decision 0091)
	{"cmd/sb-agent", "github.com/gorilla/...", "an agent serves nobody"},
	{"cmd/sb-agent", "net/http/httptest", "an agent serves nobody"},
	{"cmd/sb-agent", "command/...", "an agent does not decide"},
	{"cmd/sb-agent", "custody/...", "an agent opens no envelope"},
	{"cmd/sb-agent", "gateway/...", "the gateway is the other end"},
	{"cmd/sb-agent", "kms/...", "an agent unwraps no key"},
	{"cmd/sb-agent", "nats", "the hub, its streams and its signing keys are the control plane's"},
	{"cmd/sb-agent", "policy/...", "an agent does not decide"},
	{"cmd/sb-agent", "projections/...", "an agent sees no view"},
	{"cmd/sb-agent", "store/...", "an agent has no database"},
	{"cmd/sb-agent", "web/...", "an agent serves nobody"},
	{"cmd/sb-agent", "notices/...", "telling people is the control plane's"},
	{"cmd/sb-agent", "worker/...", "reacting to facts is the control plane's"},
	{"cmd/sb-agent", "internal/postgres/...", "an agent has no database"},

	{"cmd/sb-server", "agent/...", "the control plane must never be able to read a provider"},
	{"cmd/sb-server", "nats/leaf", "the control plane links to nobody"},

	{"agent", "net/...", "the executor reaches the world through its ports only"},
	{"agent", "os/exec", "an agent starts no programs"},
	{"command", "net/http/...", "deciders are pure: they read addresses and certificates, and ask none"},
	{"policy", "net", "policy is pure: its language may read addresses, and policy asks none"},
	{"policy", "net/http/...", "policy is pure: its language may read addresses, and policy asks none"},
	{"seal", "net/http", "cryptography is pure"},
	{"events", "net/...", "the vocabulary does no I/O"},
}

// pure are packages that do no I/O: their own files import none of impure.
var (
	pure   = []string{"command", "events", "policy", "seal", "siem", "internal/build", "internal/erase", "internal/secret", "nats/subject"}
	impure = []string{"net", "net/http/...", "os/...", "syscall", "database/sql/...", "testing/..."}
)

// standalone link the standard library and this module only: they are to be read, and
// trusted, by themselves.
var standalone = []string{"command", "events", "seal", "internal/erase", "internal/secret", "internal/trace", "agent", "custody", "nats/subject"}

// serving are the functions and types with which a program listens. None may be named
// in what an agent is made of. (Package net/http itself is linked: enrolment and
// Vault's client are HTTP clients.)
var serving = map[string][]string{
	"net":               {"Listen", "ListenTCP", "ListenUDP", "ListenIP", "ListenPacket", "ListenMulticastUDP", "ListenUnix", "ListenUnixgram", "ListenConfig", "FileListener", "FilePacketConn"},
	"net/http":          {"Server", "ListenAndServe", "ListenAndServeTLS", "Serve", "ServeTLS", "Handle", "HandleFunc", "NewServeMux", "ServeMux"},
	"net/http/httptest": {"*"},
	"crypto/tls":        {"Listen", "NewListener", "Server"},
	"syscall":           {"Listen", "Bind"},
}

// servingExceptions are the places where one is meant.
var servingExceptions = map[string]string{
	"cmd/sb-agent/status.go net.ListenUnix": "status is asked over a socket file of mode 0600, on the same host",
}

// agentCode is what the agent's binary is made of, besides libraries.
var agentCode = []string{"agent/...", "cmd/sb-agent", "nats/leaf", "nats/subject", "nats/internal/..."}
