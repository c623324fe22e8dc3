package identity

import (
	"encoding/json"

	"secretsbridge/internal/private"
)

func (d document) write(dir string) error {
	raw, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return private.Replace(dir, identityFile, append(raw, '\n'))
}
