package siem

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// cloudEvent is the stored event with three attributes behind: sequence (CloudEvents extension
// "sequence": a text that sorts as events do), leafhash, and, where the data is left out, datacut.
// Everything else is byte for byte what is stored, but for a record without its data, which is
// written again.
func cloudEvent(r Record, short bool) ([]byte, error) {
	stored := bytes.TrimSpace(r.Raw)
	more := fmt.Sprintf(`,"sequence":%q,"leafhash":%q`, r.Order(), r.Hash())
	if short {
		var attributes map[string]json.RawMessage
		if err := json.Unmarshal(stored, &attributes); err != nil {
			return nil, err
		}
		var kept bytes.Buffer
		for _, name := range []string{"specversion", "id", "source", "type", "subject", "time", "actor", "correlation", "command"} {
			if value, ok := attributes[name]; ok && len(value) <= maxAttribute {
				fmt.Fprintf(&kept, `,%q:%s`, name, value)
			}
		}
		stored = append([]byte("{"), bytes.TrimPrefix(append(kept.Bytes(), '}'), []byte(","))...)
		more += `,"datacut":true`
	}
	if len(stored) < 2 || stored[len(stored)-1] != '}' {
		return nil, errors.New("no JSON object")
	}
	var line bytes.Buffer
	if err := json.Compact(&line, append(bytes.Clone(stored[:len(stored)-1]), more+"}"...)); err != nil {
		return nil, err
	}
	return line.Bytes(), nil
}

// maxAttribute bounds what is kept of an attribute of an event whose data is left out, in bytes.
// The control plane writes none that is longer.
const maxAttribute = 300
