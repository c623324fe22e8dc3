// What an operator types or sets, as docs/reference has it.

/** signOn is the settings that join an OpenID provider (docs/reference/configuration.md). */
export const signOn = (server: string) =>
  [
    'SB_OIDC_ISSUER=https://login.example.org',
    'SB_OIDC_CLIENT_ID=secrets-bridge',
    'SB_OIDC_CLIENT_SECRET_FILE=/run/secrets/oidc',
    `SB_PUBLIC_URL=${server}`,
    `# at the provider, the redirect URI: ${server}/api/v1/auth/oidc/callback`,
  ].join('\n')

/** apply is the way of the governance to files, and back. */
export const apply = [
  'sb export -o governance',
  'sb apply -f governance --dry-run   # 9 if something would change',
  'sb apply -f governance --prune --note "what git has" --yes',
].join('\n')

export const auditExport = 'sb audit export --since 24h >> audit.jsonl'

/** auditExportByCurl is the same by any client. The header comes by standard input: who lists processes reads arguments. */
export const auditExportByCurl = (server: string) =>
  [
    `printf 'Authorization: Bearer %s' "$SB_TOKEN" |`,
    `  curl --fail-with-body --header @- "${server}/api/v1/audit/export?after=$LAST_SEQ" >> audit.jsonl`,
  ].join('\n')

/** mailSettings are those of a mail server (docs/reference/configuration.md). */
export const mailSettings = [
  'SB_SMTP_HOST=mail.example.org',
  'SB_SMTP_PORT=587',
  'SB_SMTP_USERNAME=secrets-bridge',
  'SB_SMTP_PASSWORD_FILE=/run/secrets/smtp',
  'SB_SMTP_FROM=secrets-bridge@example.org',
].join('\n')

/** gitopsSettings let a server look at how changes are rolled out (docs/how-to/gitops.md). */
export const gitopsSettings = 'SB_GITOPS_ENABLED=true\nSB_WORKER_GITOPS_ENABLED=true'
