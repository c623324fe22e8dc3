package file

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"secretsbridge/agent"
)

// SetFault has f asked before each step of a write.
func (p *Provider) SetFault(f func(step string) error) { p.fault = f }

// Folder is where the versions of ref are.
func (p *Provider) Folder(ref agent.Ref) string { return filepath.Clean(p.folder(ref)) }

// Plant makes a secret that List finds and Read does not, without the care that takes time.
func (p *Provider) Plant(ref agent.Ref) error {
	plain, err := json.Marshal(description{Ref: ref.String(), Version: 1, CreatedAt: time.Now(), UpdatedAt: time.Now()})
	if err != nil {
		return err
	}
	sealed, err := p.identity.seal(plain)
	if err != nil {
		return err
	}
	if err := os.Mkdir(p.folder(ref), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.folder(ref), currentFile), sealed, 0o600)
}

// SetWindow has List pass over the directory more often.
func (p *Provider) SetWindow(names int) { p.window = names }
