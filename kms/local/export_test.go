package local

import "encoding/json"

// Reread parses the bytes of a key file and returns what would be written in its place.
func Reread(raw []byte) ([]byte, error) {
	doc, err := parse(raw)
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(doc, "", "  ")
}
