package file

import (
	"path/filepath"

	"secretsbridge/agent"
)

// SetFault has f asked before each step of a write.
func (p *Provider) SetFault(f func(step string) error) { p.fault = f }

// Folder is where the versions of ref are.
func (p *Provider) Folder(ref agent.Ref) string { return filepath.Clean(p.folder(ref)) }
