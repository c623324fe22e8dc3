package vault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"secretsbridge/agent"
)

// checkNumbers refuses what Vault would change in silence: its KV engine decodes
// values into 64-bit floats when it reads them, at any depth (seen on 1.21.1).
func checkNumbers(b agent.Bundle) error {
	for _, key := range b.Keys() {
		switch entry := b.Entries[key]; entry.Kind {
		case agent.KindNumber, agent.KindObject, agent.KindArray:
			if !floatsKeep(entry.Value.Expose()) {
				return fmt.Errorf("%w: key %q has a number that Vault cannot keep, it has 64-bit floats: store it as a string", agent.ErrNotBundle, key)
			}
		}
	}
	return nil
}

// floatsKeep reports whether each number in a JSON text survives. What is no JSON is
// for [agent.Bundle.JSON] to refuse.
func floatsKeep(text []byte) bool {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	for {
		token, err := decoder.Token()
		if err != nil {
			return true // the end
		}
		if number, ok := token.(json.Number); ok && !floatKeeps(number.String()) {
			return false
		}
	}
}

// floatKeeps compares a number with what comes back: the shortest text of the nearest
// float.
func floatKeeps(number string) bool {
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return false // beyond the largest
	}
	if f == 0 {
		mantissa, _, _ := strings.Cut(strings.ToLower(number), "e")
		return !strings.ContainsAny(mantissa, "123456789") // else it was below the smallest
	}
	// f is neither 0 nor infinite, so the exponents are small and both are written out.
	was, ok1 := new(big.Rat).SetString(number)
	is, ok2 := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
	return ok1 && ok2 && was.Cmp(is) == 0
}
