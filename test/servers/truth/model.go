package truth

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"unicode/utf8"
)

// model is AWS's own description of a service (api-2.json of aws-sdk-go).
type model struct {
	Operations map[string]struct {
		Input  *reference  `json:"input"`
		Output *reference  `json:"output"`
		Errors []reference `json:"errors"`
	} `json:"operations"`
	Shapes map[string]shape `json:"shapes"`
}

type reference struct {
	Shape string `json:"shape"`
}

type shape struct {
	Type     string               `json:"type"`
	Required []string             `json:"required"`
	Members  map[string]reference `json:"members"`
	Member   reference            `json:"member"`
	Key      reference            `json:"key"`
	Value    reference            `json:"value"`
	Enum     []string             `json:"enum"`
	Pattern  string               `json:"pattern"`
	Min      *int                 `json:"min"`
	Max      *int                 `json:"max"`
}

func readModel(path string) (model, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return model{}, err
	}
	var m model
	return m, json.Unmarshal(raw, &m)
}

// newer are members that AWS answers with today and that the model, the last of its
// line, does not know: from the recordings, and from the types of aws-sdk-go-v2.
var newer = []string{"AliasCount", "KeyMaterialId", "KeyOrigin", "CurrentKeyMaterialId", "SourceKeyMaterialId", "DestinationKeyMaterialId"}

// check says what in a value is not as the shape of that name has it.
func (m model) check(where, name string, value any) []string {
	s, known := m.Shapes[name]
	if !known {
		return []string{where + ": no shape " + name}
	}
	wrong := func(format string, args ...any) []string {
		return []string{where + ": " + fmt.Sprintf(format, args...)}
	}
	within := func(n int) []string {
		if s.Min != nil && n < *s.Min || s.Max != nil && n > *s.Max {
			return wrong("size %d is outside of the model's", n)
		}
		return nil
	}
	var found []string
	switch s.Type {
	case "structure":
		o, ok := value.(map[string]any)
		if !ok {
			return wrong("%T is no structure", value)
		}
		for _, member := range s.Required {
			if _, there := o[member]; !there {
				found = append(found, wrong("%s is missing", member)...)
			}
		}
		for member, v := range o {
			to, there := s.Members[member]
			switch {
			case there:
				found = append(found, m.check(where+"."+member, to.Shape, v)...)
			case !slices.Contains(newer, member):
				found = append(found, wrong("%s is not in the model", member)...)
			}
		}
	case "list":
		list, ok := value.([]any)
		if !ok {
			return wrong("%T is no list", value)
		}
		found = within(len(list))
		for i, v := range list {
			found = append(found, m.check(fmt.Sprintf("%s[%d]", where, i), s.Member.Shape, v)...)
		}
	case "map":
		o, ok := value.(map[string]any)
		if !ok {
			return wrong("%T is no map", value)
		}
		found = within(len(o))
		for key, v := range o {
			found = append(found, m.check(where+" key", s.Key.Shape, key)...)
			found = append(found, m.check(where+"."+key, s.Value.Shape, v)...)
		}
	case "string", "blob":
		text, ok := value.(string)
		if !ok {
			return wrong("%T is no text", value)
		}
		if s.Type == "blob" {
			raw, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return wrong("no base64")
			}
			return within(len(raw))
		}
		found = within(utf8.RuneCountInString(text))
		if len(s.Enum) > 0 && !slices.Contains(s.Enum, text) {
			found = append(found, wrong("%q is none of the model's", text)...)
		}
		if s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(text) {
			found = append(found, wrong("%q does not match %s", text, s.Pattern)...)
		}
	case "boolean":
		if _, ok := value.(bool); !ok {
			return wrong("%T is no boolean", value)
		}
	case "integer", "long", "timestamp":
		if _, ok := value.(float64); !ok {
			return wrong("%T is no number", value)
		}
	default:
		return wrong("type %s is not known here", s.Type)
	}
	return found
}
