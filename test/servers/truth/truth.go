// Package truth holds fakes of test/servers against what nobody of us wrote: recordings
// of the real services and the providers' own models of them. It is a module of its own,
// so that the product's go.mod stays free of where those come from; `make test` runs it.
package truth

import (
	"fmt"
	"os/exec"
	"strings"

	// Imported for the data that their modules carry; go mod tidy would drop them.
	_ "github.com/Azure/azure-sdk-for-go/sdk/keyvault/azsecrets"
	_ "github.com/aws/aws-sdk-go/aws/awserr"
	_ "gocloud.dev/gcerrors"
)

// moduleDir is where a module of this one's go.mod lies.
func moduleDir(module string) (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("find module %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}
