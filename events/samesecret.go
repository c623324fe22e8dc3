package events

import "strings"

// SameSecret reports whether key, which is how an ExternalSecret names a secret of its store
// (remoteRef.key, dataFrom.extract.key), means the secret that we call ref, at a provider of the
// given kind. It judges names alone: which store the key is looked up in is not in it, so a key
// that leaves out the mount of a Vault, the account of AWS or the project of GCP is the same in
// each of them.
//
//   - Vault: MOUNT/PATH, MOUNT/data/PATH, or PATH alone where the store names the mount, which
//     has one segment then.
//   - AWS Secrets Manager: the name, or an ARN with or without the six characters at its end.
//   - Azure Key Vault: NAME or secret/NAME, whatever the case.
//   - GCP Secret Manager: NAME or projects/PROJECT[/locations/LOCATION]/secrets/NAME, and perhaps
//     /versions/VERSION.
//   - Any other: the ref itself.
func SameSecret(provider ProviderKind, ref, key string) bool {
	if ref == "" || key == "" {
		return false
	}
	switch provider {
	case ProviderVault:
		return sameVault(ref, strings.Trim(key, "/"))
	case ProviderAWS:
		return ref == key || sameARN(ref, key)
	case ProviderAzure:
		return strings.EqualFold(ref, strings.TrimPrefix(key, "secret/"))
	case ProviderGCP:
		return ref == key || ref == nameInProject(key)
	}
	return ref == key
}

// sameVault knows the forms of External Secrets Operator's Vault provider (buildPath). A folder
// "data" right below the mount cannot be told from KV version 2's own, there neither.
func sameVault(ref, key string) bool {
	if ref == key {
		return true
	}
	mount, path, deep := strings.Cut(ref, "/")
	if !deep {
		return false
	}
	if key == path || key == "data/"+path {
		return true
	}
	// A mount may have slashes, so "data" may be any segment but the first and the last.
	for before, after := mount, path; ; {
		if key == before+"/data/"+after {
			return true
		}
		next, rest, more := strings.Cut(after, "/")
		if !more {
			return false
		}
		before, after = before+"/"+next, rest
	}
}

// arnSuffix is the length of what AWS adds to a name: "-" and six characters.
const arnSuffix = 7

// sameARN reads arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME.
func sameARN(name, arn string) bool {
	part := strings.SplitN(arn, ":", 7)
	if len(part) != 7 || part[0] != "arn" || part[2] != "secretsmanager" || part[5] != "secret" {
		return false
	}
	of := part[6]
	return of == name ||
		len(of) == len(name)+arnSuffix && of[:len(name)] == name && of[len(name)] == '-'
}

// nameInProject is the name within a full resource name of Secret Manager, or "".
func nameInProject(key string) string {
	part := strings.Split(key, "/")
	if len(part) > 2 && part[len(part)-2] == "versions" {
		part = part[:len(part)-2]
	}
	switch {
	case len(part) == 1:
		return part[0]
	case len(part) == 4 && part[0] == "projects" && part[2] == "secrets":
		return part[3]
	case len(part) == 6 && part[0] == "projects" && part[2] == "locations" && part[4] == "secrets":
		return part[5]
	}
	return ""
}
