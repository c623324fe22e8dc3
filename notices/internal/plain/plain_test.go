package plain_test

import (
	"strings"
	"testing"

	"secretsbridge/notices/internal/plain"
)

func TestTextIsOneLineThatIsSeen(t *testing.T) {
	for in, want := range map[string]string{
		"  Ana \r\n López\t asks ": "Ana López asks",
		"a\u202eb\u200bc\x00d":     "abc d",
		"bad \xff utf":             "bad � utf",
		"می\u200cخواهم":            "می\u200cخواهم",
		strings.Repeat("ä", 21):    strings.Repeat("ä", 19) + "…",
		strings.Repeat("ä", 20):    strings.Repeat("ä", 20),
		"":                         "",
	} {
		if got := plain.Text(in, 20); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
	if got := plain.Text(strings.Repeat("🔥", 1e6), 20); len([]rune(got)) != 20 {
		t.Errorf("%q", got)
	}
}

func TestOnlyPlainHTTPSIsALink(t *testing.T) {
	for _, good := range []string{"https://bridge.example.org/requests/r_1?a=b#c", "https://localhost:8443/x"} {
		if plain.Link(good) != good {
			t.Errorf("%s is none", good)
		}
	}
	for _, bad := range []string{"", "http://a.example", "javascript:alert(1)", "https://a.example/\"x", "https://a.example/<x>", "https://a.example/x y", "https://a.example/\r\n", "https://ä.example", "https://a.example/" + strings.Repeat("x", 2000)} {
		if got := plain.Link(bad); got != "" {
			t.Errorf("%.40q is one", bad)
		}
	}
}
