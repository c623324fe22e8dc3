// The words for kinds of stores. A new kind fails to compile until it has some.
import type { Provider } from '../../api/connections'

export interface ProviderWords {
  label: string
  /** What the agents of its cluster need for it. The fields themselves are in docs/agent.md. */
  needs: string
  /** A connection in an agent's configuration, below the connection's name. */
  sample: string
}

export const providerWords: Record<Provider, ProviderWords> = {
  vault: {
    label: 'HashiCorp Vault',
    needs:
      'The address of the Vault, which of its KV mounts may be used, and a way to sign in: AppRole, Kubernetes, JWT or a token in a file.',
    sample: `provider: vault
address: https://vault.internal:8200
mounts: [secret]
allow: [secret/prod]
auth:
  method: approle
  role_id: ROLE-ID
  secret_id_file: /etc/sb-agent/secret-id`,
  },
  'aws-secrets-manager': {
    label: 'AWS Secrets Manager',
    needs:
      'The region, and credentials as every AWS program finds them: the role of the host, a profile, or a role to assume.',
    sample: `provider: aws-secrets-manager
region: eu-central-1
allow: [prod]`,
  },
  'azure-key-vault': {
    label: 'Azure Key Vault',
    needs:
      'The address of the key vault, and a way to sign in: a managed identity, a workload identity or a client of its own.',
    sample: `provider: azure-key-vault
vault_url: https://NAME.vault.azure.net
allow: ["prod-*"]
auth:
  method: managed-identity`,
  },
  'gcp-secret-manager': {
    label: 'Google Secret Manager',
    needs: "The project, and credentials: the host's own service account, or a file of credentials.",
    sample: `provider: gcp-secret-manager
project: PROJECT
allow: ["prod-*"]`,
  },
  file: {
    label: 'Encrypted files',
    needs:
      'A folder of files that are encrypted with age, and the identity that opens them. All agents that serve it run on one host.',
    sample: `provider: file
dir: /var/lib/sb-agent/store
identity_file: /etc/sb-agent/age.key
allow: [prod]`,
  },
}
