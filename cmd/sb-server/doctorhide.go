package main

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// hidden stands where something was taken out.
const hidden = "[hidden]"

// secretSettings are variables whose values nobody is to read, ours and those of libraries. Settings
// that are addresses with a password in them are not among them: the password alone is.
var secretSettings = []string{
	"SB_DEMO_PASSWORD", "SB_SMTP_PASSWORD", "SB_SMTP_USERNAME", "SB_KMS_TRANSIT_ROLE_ID",
	"VAULT_TOKEN", "PGPASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
	"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
}

// leastSecret is how long a text must be to be taken out wherever it is: a shorter one is part of
// words.
const leastSecret = 4

// secrets are texts of this process's environment that nobody is to read.
type secrets []string

// secretsOf finds them in an environment: values of [secretSettings], and passwords in addresses.
func secretsOf(environ []string) secrets {
	var all secrets
	add := func(text string) {
		if len(text) < leastSecret {
			return
		}
		all = append(all, text)
		for _, form := range []string{url.QueryEscape(text), url.PathEscape(text), strings.Trim(strings.ReplaceAll(text, `"`, `\"`), "\n")} {
			if form != text {
				all = append(all, form)
			}
		}
	}
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		if slices.Contains(secretSettings, name) {
			add(value)
			for part := range strings.SplitSeq(value, ",") { // headers
				if _, of, ok := strings.Cut(part, "="); ok {
					add(of)
				}
			}
		}
		addresses := []string{value} // a password may hold a comma
		if strings.Count(value, "://") > 1 {
			addresses = strings.Split(value, ",")
		}
		for _, part := range addresses {
			for _, m := range whoInAddress.FindAllStringSubmatch(part, -1) {
				if _, password, ok := strings.Cut(m[1], ":"); ok {
					add(password)
					if plain, err := url.PathUnescape(password); err == nil {
						add(plain)
					}
				}
			}
			for _, m := range passwordInWords.FindAllStringSubmatch(part, -1) {
				add(strings.Trim(m[2], `'"`))
			}
		}
	}
	// The longest first: one may be part of another.
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(all)
}

var (
	// passwordInAddress is who signs in by an address: what is between // and the last @ before a
	// path. A password may hold an @ or a slash where somebody forgot to escape it. A list ends at its
	// commas.
	passwordInAddress = regexp.MustCompile(`://([^\s"'<>@,]*(?:@[^\s"'<>@/?#,]*)*)@`)

	// whoInAddress is likewise in an address alone.
	whoInAddress = regexp.MustCompile(`://([^\s"'<>@]*(?:@[^\s"'<>@/?#]*)*)@`)

	// passwordInWords are DSNs and queries.
	passwordInWords = regexp.MustCompile(`(?i)\b(password|passwd|sslpassword|token|secret|x-amz-signature)=('[^']*'|"[^"]*"|[^\s&"']+)`)
)

func (s secrets) hide(text string) string {
	for _, secret := range s {
		text = strings.ReplaceAll(text, secret, hidden)
	}
	text = passwordInAddress.ReplaceAllString(text, "://"+hidden+"@")
	return passwordInWords.ReplaceAllString(text, "$1="+hidden)
}
